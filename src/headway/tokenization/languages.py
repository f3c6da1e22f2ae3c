"""The languages of translation models: their codes, and where the token of a language stands."""

import re
from dataclasses import dataclass

from headway.tokenization.frames import LANGUAGE_FIRST, LANGUAGE_LAST, Frame

# Codes in the order of their ids.
MBART_CODES = (
    "ar_AR cs_CZ de_DE en_XX es_XX et_EE fi_FI fr_XX gu_IN hi_IN it_IT ja_XX kk_KZ ko_KR lt_LT lv_LV my_MM ne_NP "
    "nl_XX ro_RO ru_RU si_LK tr_TR vi_VN zh_CN"
)
MBART50_CODES = (
    f"{MBART_CODES} "
    "af_ZA az_AZ bn_IN fa_IR he_IL hr_HR id_ID ka_GE km_KH mk_MK ml_IN mn_MN mr_IN pl_PL ps_AF pt_XX sv_SE sw_KE "
    "ta_IN te_IN th_TH tl_XX uk_UA ur_PK xh_ZA gl_ES sl_SI"
)
M2M100_CODES = {
    "m2m100": (
        "af am ar ast az ba be bg bn br bs ca ceb cs cy da de el en es et fa ff fi fr fy ga gd gl gu ha he hi hr ht hu "
        "hy id ig ilo is it ja jv ka kk km kn ko lb lg ln lo lt lv mg mk ml mn mr ms my ne nl no ns oc or pa pl ps "
        "pt ro ru sd si sk sl so sq sr ss su sv sw ta th tl tn tr uk ur uz vi wo xh yi yo zh zu"
    ),
    "wmt21": "en ha is ja cs ru zh de",
}


@dataclass(frozen=True)
class Languages:
    """The languages of a family: ``frame`` holds the text's own as ``{lang}``, ``token`` is how a code is written.

    ``legacy`` is the frame of checkpoints whose setting ``legacy_behaviour`` says so, ``default`` the language of texts
    if nothing is said.
    """

    frame: Frame
    code: str
    default: str
    token: str = "{}"
    legacy: Frame | None = None

    def code_of(self, token: str) -> str | None:
        """Return the code of a language's token, None for any other token."""
        found = re.fullmatch(self.token.format(f"({self.code})"), token)
        return found and found[1]


MBART = Languages(LANGUAGE_LAST, r"[a-z]{2}_[A-Z]{2}", "en_XX")
MBART50 = Languages(LANGUAGE_FIRST, r"[a-z]{2}_[A-Z]{2}", "en_XX")
M2M100 = Languages(LANGUAGE_FIRST, r"[a-z]{2,3}", "en", "__{}__")
NLLB = Languages(LANGUAGE_FIRST, r"[a-z]{3}_[A-Z][a-z]{3}", "eng_Latn", legacy=LANGUAGE_LAST)
