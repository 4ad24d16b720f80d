"""The sectors that a search can name; what each takes in is the classifier's catalogue, the names are everybody's."""

from typing import Annotated

from pydantic import AfterValidator

SECTORS: dict[str, str] = {
    "vestuario": "Vestuário e uniformes",
    "alimentacao": "Gêneros alimentícios e refeições",
    "informatica": "Equipamentos de informática",
    "software": "Software e serviços de TI",
    "telecom": "Telecomunicações e internet",
    "mobiliario": "Mobiliário",
    "eletrodomesticos": "Eletrodomésticos, eletroeletrônicos e climatização",
    "papelaria": "Papelaria, expediente e material gráfico",
    "livros_educacao": "Livros, material didático e pedagógico",
    "limpeza_higiene": "Material de limpeza, higiene e descartáveis",
    "servicos_limpeza": "Limpeza e apoio com mão de obra",
    "vigilancia": "Vigilância e segurança",
    "medicamentos": "Medicamentos",
    "insumos_saude": "Materiais médico-hospitalares, odontológicos e de laboratório",
    "equipamentos_medicos": "Equipamentos médicos e odontológicos",
    "servicos_saude": "Serviços de saúde",
    "obras": "Obras e construção civil",
    "infra_viaria": "Pavimentação, estradas e saneamento de engenharia",
    "manutencao_predial": "Manutenção predial e de instalações",
    "materiais_construcao": "Materiais de construção, elétricos, hidráulicos e ferragens",
    "iluminacao_energia": "Iluminação pública e energia",
    "veiculos": "Veículos, peças e manutenção de frota",
    "combustiveis": "Combustíveis",
    "transporte": "Transporte e locação de veículos e máquinas",
    "residuos": "Resíduos e limpeza urbana",
    "eventos_cultura": "Eventos, cultura e esporte",
    "comunicacao": "Publicidade e comunicação",
    "consultoria": "Consultoria, capacitação e serviços técnicos",
    "agropecuaria": "Agropecuária e meio ambiente",
    "imoveis": "Imóveis, concessões e alienações",
}
"""The 30 sectors: id -> name shown to people."""


def _known(sector: str) -> str:
    if sector not in SECTORS:
        raise ValueError(f"setor desconhecido: {sector!r}")
    return sector


SectorId = Annotated[str, AfterValidator(_known)]
