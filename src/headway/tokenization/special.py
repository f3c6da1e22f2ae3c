"""The tokens with a role: padding, beginning, end, mask and so on."""

from collections.abc import Iterable, Mapping
from typing import Any

from tokenizers import AddedToken
from tokenizers import Tokenizer as Backend

from headway.errors import InputError, TokenizerError, did_you_mean

ROLES = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
# The same list, by the name of transformers 5 and by that of all before.
EXTRA = ("extra_special_tokens", "additional_special_tokens")

AnyToken = str | AddedToken | Mapping[str, Any]


_FLAGS = ("single_word", "lstrip", "rstrip")


def as_added_token(token: AnyToken, special: bool, **defaults: bool) -> AddedToken:
    """Return a token as the ``tokenizers`` library takes it, from a text or from the dictionary in a file.

    ``defaults`` are flags of a token that is given as text, which says nothing of them.
    """
    if isinstance(token, str):
        return AddedToken(token, special=special, normalized=not special, **defaults)
    if isinstance(token, AddedToken):
        token = {name: getattr(token, name) for name in ("content", "normalized", "special", *_FLAGS)}
    if not isinstance(token, Mapping) or not isinstance(token.get("content"), str):
        raise TokenizerError(f"A token must be a string or a dictionary with 'content', not {token!r}.")
    special = special or bool(token.get("special"))
    flags = {name: bool(token[name]) for name in _FLAGS if name in token}
    return AddedToken(token["content"], special=special, normalized=bool(token.get("normalized", not special)), **flags)


class _Role:
    """A property: the token of a role as text, None if it has none."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name
        self.__doc__ = f"The {name} as text, None if there is none."

    def __get__(self, tokenizer: "SpecialTokens", owner: type) -> str | None:
        return self if tokenizer is None else tokenizer._roles.get(self.name)

    def __set__(self, tokenizer: "SpecialTokens", token: str | AddedToken | None) -> None:
        tokenizer._set_role(self.name, token)


class _RoleId:
    """A property: the id of the token of a role, None if it has none."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.role = name.removesuffix("_id")
        self.__doc__ = f"The id of the {self.role}, None if there is none."

    def __get__(self, tokenizer: "SpecialTokens", owner: type) -> int | None:
        if tokenizer is None:
            return self
        token = tokenizer._roles.get(self.role)
        return None if token is None else tokenizer._backend.token_to_id(token)

    def __set__(self, tokenizer: "SpecialTokens", id: int | None) -> None:
        token = None if id is None else tokenizer._backend.id_to_token(id)
        if id is not None and token is None:
            raise TokenizerError(f"No token has the id {id}: ids go from 0 to {len(tokenizer) - 1}.")
        tokenizer._set_role(self.role, token)


class SpecialTokens:
    """The part of a tokenizer that knows its special tokens.

    Each role is an attribute (``pad_token``, ``pad_token_id``) that can be set to a token of the vocabulary; a new
    token comes in through ``add_special_tokens``. Roles of one family alone (``image_token``) are attributes where the
    checkpoint has them.
    """

    _backend: Backend
    _target: Backend | None  # of texts to translate into, where they have a vocabulary of their own
    _roles: dict[str, str]
    _extra: list[str]

    bos_token, bos_token_id = _Role(), _RoleId()
    eos_token, eos_token_id = _Role(), _RoleId()
    unk_token, unk_token_id = _Role(), _RoleId()
    sep_token, sep_token_id = _Role(), _RoleId()
    pad_token, pad_token_id = _Role(), _RoleId()
    cls_token, cls_token_id = _Role(), _RoleId()
    mask_token, mask_token_id = _Role(), _RoleId()

    def __getattr__(self, name: str) -> Any:
        roles = self.__dict__.get("_roles", {})
        if name in roles:
            return roles[name]
        if name.removesuffix("_id") in roles:
            return self._backend.token_to_id(roles[name.removesuffix("_id")])
        public = [known for known in dir(self) if not known.startswith("_")]
        raise AttributeError(f"A tokenizer has no {name!r}.{did_you_mean(name, public)}", name=name, obj=self)

    def __len__(self) -> int:
        """Return the size of the vocabulary, added tokens included."""
        return self._backend.get_vocab_size(with_added_tokens=True)

    @property
    def special_tokens_map(self) -> dict[str, str]:
        """The roles that are taken, with their tokens."""
        return {**{role: self._roles[role] for role in ROLES if role in self._roles}, **self._roles}

    @property
    def additional_special_tokens(self) -> list[str]:
        """Special tokens that have no role."""
        return list(self._extra)

    @additional_special_tokens.setter
    def additional_special_tokens(self, tokens: Iterable[str | AddedToken]) -> None:
        self.add_special_tokens({EXTRA[0]: list(tokens)})

    extra_special_tokens = additional_special_tokens

    @property
    def additional_special_tokens_ids(self) -> list[int]:
        """The ids of the special tokens that have no role."""
        return [self._id(token) for token in self._extra]

    @property
    def all_special_tokens(self) -> list[str]:
        """Every special token once, those with a role first."""
        return list(dict.fromkeys((*self.special_tokens_map.values(), *self._extra)))

    @property
    def all_special_ids(self) -> list[int]:
        """The ids of ``all_special_tokens``, in the same order."""
        return [self._id(token) for token in self.all_special_tokens]

    def add_tokens(
        self, new_tokens: str | AddedToken | Iterable[str | AddedToken], special_tokens: bool = False
    ) -> int:
        """Add tokens that are found in texts before anything else is, and return how many were new as such.

        Tokens that the vocabulary does not have get new ids at its end; resize the model's embeddings to ``len()``.
        """
        tokens = [new_tokens] if isinstance(new_tokens, str | AddedToken) else list(new_tokens)
        made = [as_added_token(token, special_tokens) for token in tokens]
        return self._add(made, special_tokens)

    def add_special_tokens(
        self, special_tokens_dict: Mapping[str, Any], replace_extra_special_tokens: bool = True
    ) -> int:
        """Give roles to tokens, adding those that are new, and return how many were.

        Args:
            special_tokens_dict: roles with their token, such as ``{"pad_token": "[PAD]"}``; the role
                "additional_special_tokens" takes a list.
            replace_extra_special_tokens: whether that list replaces the former one or is added to it.

        Raises InputError for a role that does not exist.
        """
        for role in special_tokens_dict:
            if role not in (*ROLES, *EXTRA, *self._roles):
                near = did_you_mean(role, (*ROLES, EXTRA[1]))
                raise InputError(
                    f"{role!r} is no role of a special token: there are {', '.join((*ROLES, EXTRA[1]))}.{near}"
                )
        added = 0
        for role, value in special_tokens_dict.items():
            if role in EXTRA:
                tokens = [as_added_token(token, special=True) for token in value]
                added += self._add(tokens, True)
                kept = [] if replace_extra_special_tokens else self._extra
                self._extra = list(dict.fromkeys((*kept, *(token.content for token in tokens))))
            else:
                token = as_added_token(value, special=True)
                added += self._add([token], True)
                self._roles[role] = token.content
        return added

    def _add(self, tokens: list[AddedToken], special: bool) -> int:
        """Add tokens to every vocabulary and return how many were new to the first."""
        backends = [self._backend] if self._target is None else [self._backend, self._target]
        counts = [backend.add_special_tokens(tokens) if special else backend.add_tokens(tokens) for backend in backends]
        return counts[0]

    def _id(self, token: str) -> int:
        id = self._backend.token_to_id(token)
        assert id is not None, f"special token {token!r} was never added"
        return id

    def _set_role(self, role: str, token: str | AddedToken | None) -> None:
        if token is None:
            self._roles.pop(role, None)
            return
        text = token.content if isinstance(token, AddedToken) else token
        if not isinstance(text, str):
            raise InputError(f"{role} must be a token as text, not {text!r}.")
        if self._backend.token_to_id(text) is None:
            raise TokenizerError(
                f"{role} cannot be {text!r}, which is not in the vocabulary: add it with "
                f"add_special_tokens({{{role!r}: {text!r}}}) and resize the model's embeddings."
            )
        self._roles[role] = text
