"""Where a licitação is: the 27 federative units and their five regions."""

from enum import StrEnum


class Regiao(StrEnum):
    """The five regions of IBGE."""

    NORTE = "Norte"
    NORDESTE = "Nordeste"
    CENTRO_OESTE = "Centro-Oeste"
    SUDESTE = "Sudeste"
    SUL = "Sul"


class UF(StrEnum):
    """A federative unit, by its sigla. `XX` is a record that names none: it is stored, but never asked for."""

    AC = "AC"
    AL = "AL"
    AP = "AP"
    AM = "AM"
    BA = "BA"
    CE = "CE"
    DF = "DF"
    ES = "ES"
    GO = "GO"
    MA = "MA"
    MT = "MT"
    MS = "MS"
    MG = "MG"
    PA = "PA"
    PB = "PB"
    PR = "PR"
    PE = "PE"
    PI = "PI"
    RJ = "RJ"
    RN = "RN"
    RS = "RS"
    RO = "RO"
    RR = "RR"
    SC = "SC"
    SP = "SP"
    SE = "SE"
    TO = "TO"
    XX = "XX"

    @property
    def nome(self) -> str:
        """Its name as a person writes it."""
        return _NOMES[self]

    @property
    def regiao(self) -> Regiao | None:
        """Its region; None for `XX`."""
        return _REGIOES.get(self)


_NOMES = {
    UF.AC: "Acre", UF.AL: "Alagoas", UF.AP: "Amapá", UF.AM: "Amazonas", UF.BA: "Bahia", UF.CE: "Ceará",
    UF.DF: "Distrito Federal", UF.ES: "Espírito Santo", UF.GO: "Goiás", UF.MA: "Maranhão", UF.MT: "Mato Grosso",
    UF.MS: "Mato Grosso do Sul", UF.MG: "Minas Gerais", UF.PA: "Pará", UF.PB: "Paraíba", UF.PR: "Paraná",
    UF.PE: "Pernambuco", UF.PI: "Piauí", UF.RJ: "Rio de Janeiro", UF.RN: "Rio Grande do Norte",
    UF.RS: "Rio Grande do Sul", UF.RO: "Rondônia", UF.RR: "Roraima", UF.SC: "Santa Catarina", UF.SP: "São Paulo",
    UF.SE: "Sergipe", UF.TO: "Tocantins", UF.XX: "UF não informada",
}  # fmt: skip

_REGIOES = {
    **dict.fromkeys((UF.AC, UF.AP, UF.AM, UF.PA, UF.RO, UF.RR, UF.TO), Regiao.NORTE),
    **dict.fromkeys((UF.AL, UF.BA, UF.CE, UF.MA, UF.PB, UF.PE, UF.PI, UF.RN, UF.SE), Regiao.NORDESTE),
    **dict.fromkeys((UF.DF, UF.GO, UF.MT, UF.MS), Regiao.CENTRO_OESTE),
    **dict.fromkeys((UF.ES, UF.MG, UF.RJ, UF.SP), Regiao.SUDESTE),
    **dict.fromkeys((UF.PR, UF.RS, UF.SC), Regiao.SUL),
}

UFS: tuple[UF, ...] = tuple(uf for uf in UF if uf is not UF.XX)
"""The 27 that a search can ask for, in alphabetical order of their siglas as declared."""

NATIONAL = "BR"
"""The place token of a claim on a source that only lists the whole country."""
