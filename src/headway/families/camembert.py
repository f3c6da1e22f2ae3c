"""CamemBERT (Martin et al. 2019, arXiv:1911.03894): RoBERTa in French."""

from headway.families import roberta
from headway.registry import Family, register


class CamembertConfig(roberta.RobertaConfig):
    model_type = "camembert"
    vocab_size: int = 30522


register(Family(CamembertConfig, "Camembert", roberta.architecture, roberta.names, roberta.heads))
