"""Grafana's dashboards as code: run it to write the JSON beside it; with `check` it says whether that is current."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

FOLDER: Final = Path(__file__).with_name("dashboards")
SOURCE: Final = {"type": "prometheus", "uid": "prometheus"}
WIDTH, HEIGHT, ACROSS = 12, 8, 24


JUDGED: Final = 'sum(rate(farol_bus_handle_seconds_{}{{consumer="classifier-judge"}}[5m]))'
HITS: Final = "sum(rate(cache_hits_total[15m]))"


@dataclass(frozen=True)
class Panel:
    """One picture: what it says, in which unit, and the queries with their legends."""

    title: str
    unit: str
    queries: tuple[tuple[str, str], ...]


def q(quantile: float, metric: str, by: str = "") -> str:
    """A quantile of a histogram over five minutes."""
    return f"histogram_quantile({quantile}, sum by (le{', ' + by if by else ''}) (rate({metric}_bucket[5m])))"


def rate(metric: str, by: str) -> str:
    """How often, per label."""
    return f"sum by ({by}) (rate({metric}[5m]))"


DASHBOARDS: Final[dict[str, tuple[str, tuple[Panel, ...]]]] = {
    "buscas": ("Farol: buscas", (
        Panel("Buscas por minuto", "short", (("sum by (status) (rate(searches_total[5m])) * 60", "{{status}}"),)),
        Panel("Buscas em andamento", "short", (("sum(active_searches)", "ativas"),)),
        Panel("Do pedido ao fim", "s", (
            (q(0.5, "search_duration_seconds"), "p50"), (q(0.95, "search_duration_seconds"), "p95"),
        )),
        Panel("Do pedido ao primeiro resultado", "s", (
            (q(0.5, "farol_first_result_seconds"), "p50"), (q(0.95, "farol_first_result_seconds"), "p95"),
        )),
        Panel("Cobertura (mediana)", "percent", ((q(0.5, "farol_search_coverage_pct"), "p50"),)),
        Panel("Buscas que nada consultaram", "percentunit", (
            ('sum(rate(searches_total{status="empty_failure"}[1h])) / sum(rate(searches_total[1h]))', "1 h"),
        )),
    )),
    "fontes": ("Farol: fontes", (
        Panel("Pedidos por segundo", "reqps", (
            ("sum by (source, outcome) (rate(fetch_duration_seconds_count[5m]))", "{{source}} {{outcome}}"),
        )),
        Panel("Duração de um pedido (p95)", "s", ((q(0.95, "fetch_duration_seconds", "source"), "{{source}}"),)),
        Panel("Erros por segundo", "reqps", (
            (rate("api_errors_total", "source, outcome"), "{{source}} {{outcome}}"),
        )),
        Panel("Páginas e registros por segundo", "short", (
            (rate("farol_pages_fetched_total", "source"), "{{source}} páginas"),
            (rate("farol_records_fetched_total", "source"), "{{source}} registros"),
        )),
        Panel("Circuitos", "short", (
            ("max by (source) (circuit_breaker_degraded)", "{{source}} fonte"),
            ("max by (source) (farol_circuits_open)", "{{source}} UFs"),
        )),
        Panel("Ritmo e fila", "short", (
            ("max by (source) (farol_source_rate)", "{{source}} por segundo"),
            ("sum by (source) (farol_source_waiting)", "{{source}} à espera"),
        )),
        Panel("Repetições por segundo", "reqps", ((rate("farol_fetch_retries_total", "source"), "{{source}}"),)),
        Panel("Idade do que há de mais novo", "s", (
            ("max by (source) (farol_ledger_age_seconds)", "{{source}}"),
        )),
    )),
    "memoria": ("Farol: memória", (
        Panel("Acertos por nível", "reqps", ((rate("cache_hits_total", "level"), "{{level}}"),)),
        Panel("Faltas por nível", "reqps", ((rate("cache_misses_total", "level"), "{{level}}"),)),
        Panel("Parte que já estava guardada", "percentunit", (
            (f"{HITS} / ({HITS} + sum(rate(cache_misses_total[15m])))", "acertos"),
        )),
        Panel("Ocupação do que se guarda", "percentunit", (
            ("max by (stream) (farol_stream_fill_ratio)", "{{stream}}"),
        )),
        Panel("Trabalhos periódicos: desde o último", "s", (
            ("time() - max by (job) (farol_job_last_success_timestamp_seconds)", "{{job}}"),
        )),
    )),
    "classificacao": ("Farol: classificação e custo", (
        Panel("Decisões por segundo", "short", ((rate("filter_decisions_total", "decision"), "{{decision}}"),)),
        Panel("Por que se rejeita", "short", (
            ('sum by (reason) (rate(filter_decisions_total{decision="rejected"}[5m]))', "{{reason}}"),
        )),
        Panel("Lote julgado", "s", (
            (f"{JUDGED.format('sum')} / {JUDGED.format('count')}", "média"),
        )),
        Panel("Chamadas ao modelo", "reqps", ((rate("llm_calls_total", "outcome"), "{{outcome}}"),)),
        Panel("Duração de uma chamada (p95)", "s", ((q(0.95, "llm_call_duration_seconds"), "p95"),)),
        Panel("Palavras do modelo por hora", "short", (
            ("sum by (kind) (rate(farol_llm_tokens_total[1h])) * 3600", "{{kind}}"),
        )),
        Panel("Custo em 24 h (US$)", "currencyUSD", (("sum(increase(farol_llm_usd_total[24h]))", "24 h"),)),
    )),
    "barramento": ("Farol: barramento", (
        Panel("Mensagens por segundo", "short", ((rate("farol_bus_messages_total", "consumer"), "{{consumer}}"),)),
        Panel("À espera", "short", (("max by (consumer) (farol_queue_pending)", "{{consumer}}"),)),
        Panel("Em trabalho", "short", (("max by (consumer) (farol_queue_ack_pending)", "{{consumer}}"),)),
        Panel("Duração do trabalho (p95)", "s", ((q(0.95, "farol_bus_handle_seconds", "consumer"), "{{consumer}}"),)),
        Panel("Entregas repetidas por segundo", "short", (
            (rate("farol_bus_redeliveries_total", "consumer"), "{{consumer}}"),
        )),
        Panel("Abandonadas em 1 h, e as que aguardam", "short", (
            ("sum by (consumer) (increase(farol_bus_dead_letters_total[1h]))", "{{consumer}}"),
            ('max(farol_stream_messages{stream="DLQ"})', "aguardam"),
        )),
        Panel("Publicações por segundo", "short", ((rate("farol_bus_published_total", "outcome"), "{{outcome}}"),)),
        Panel("Até o stream confirmar", "s", (
            (q(0.5, "farol_bus_publish_seconds"), "p50"), (q(0.99, "farol_bus_publish_seconds"), "p99"),
        )),
        Panel("Em pausa, ausentes, desligados", "short", (
            ("max by (consumer) (farol_bus_paused)", "{{consumer}} em pausa"),
            ("max by (consumer) (farol_queue_missing)", "{{consumer}} ausente"),
            ("1 - min by (service) (farol_bus_connected)", "{{service}} desligado"),
        )),
    )),
    "conexoes": ("Farol: API e conexões", (
        Panel("Pedidos por segundo", "reqps", ((rate("farol_http_requests_total", "status"), "{{status}}"),)),
        Panel("Até o cabeçalho (p99)", "s", ((q(0.99, "farol_http_request_seconds", "route"), "{{route}}"),)),
        Panel("Conexões de eventos", "short", (("sum(farol_sse_clients)", "abertas"),)),
        Panel("Atraso do laço", "s", (("max by (instance) (farol_loop_lag_seconds)", "{{instance}}"),)),
    )),
}  # fmt: skip


def dashboard(name: str) -> dict[str, Any]:
    """One dashboard as Grafana provisions it."""
    title, panels = DASHBOARDS[name]
    return {
        "uid": f"farol-{name}",
        "title": title,
        "tags": ["farol"],
        "timezone": "browser",
        "schemaVersion": 41,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "panels": [_panel(number, panel) for number, panel in enumerate(panels)],
    }


def _panel(number: int, panel: Panel) -> dict[str, Any]:
    return {
        "id": number + 1,
        "type": "timeseries",
        "title": panel.title,
        "datasource": SOURCE,
        "gridPos": {
            "h": HEIGHT, "w": WIDTH, "x": number * WIDTH % ACROSS, "y": number * WIDTH // ACROSS * HEIGHT
        },
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "targets": [
            {"refId": chr(ord("A") + place), "datasource": SOURCE, "expr": expression, "legendFormat": legend}
            for place, (expression, legend) in enumerate(panel.queries)
        ],
    }  # fmt: skip


def files() -> dict[Path, str]:
    """What lies in the folder."""
    return {
        FOLDER / f"{name}.json": json.dumps(dashboard(name), indent=2, ensure_ascii=False) + "\n" for name in DASHBOARDS
    }


def main() -> int:
    """Write the files, or with `check` say whether they are current."""
    if sys.argv[1:] == ["check"]:
        stale = [path.name for path, text in files().items() if not path.exists() or path.read_text() != text]
        sys.stdout.writelines(f"{name} is not current: run `make schemas`\n" for name in stale)
        return 1 if stale else 0
    FOLDER.mkdir(exist_ok=True)
    for path, text in files().items():
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
