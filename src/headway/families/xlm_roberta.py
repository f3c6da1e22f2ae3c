"""XLM-RoBERTa (Conneau et al. 2019, arXiv:1911.02116): RoBERTa in a hundred languages."""

from headway.families import roberta
from headway.registry import Family, register


class XLMRobertaConfig(roberta.RobertaConfig):
    model_type = "xlm-roberta"
    vocab_size: int = 30522


register(Family(XLMRobertaConfig, "XLMRoberta", roberta.architecture, roberta.names, roberta.heads))
