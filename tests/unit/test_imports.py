"""What may import what, and what importing headway costs: no torch before a model is asked for, never transformers."""

from __future__ import annotations

import ast
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import headway
from headway.registry import families

ROOT = Path(__file__).parents[2]
PACKAGE = Path(headway.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))


def python(code: str) -> str:
    """Run ``code`` in a fresh interpreter and return what it prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == "", "a correct program prints no warning"
    return done.stdout.strip()


def test_the_contracts_of_import_directions() -> None:
    """pyproject.toml has the contracts: layers, families, light modules, the oracle."""
    tool = Path(sysconfig.get_path("scripts")) / "lint-imports"
    command = [str(tool), "--no-cache", "--config", str(ROOT / "pyproject.toml")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 kept, 0 broken" in done.stdout


def test_import_headway_imports_next_to_nothing() -> None:
    heavy = ("torch", "numpy", "tokenizers", "huggingface_hub", "safetensors", "jinja2")
    code = f"import sys, headway; print([name for name in {heavy} if name in sys.modules])"
    assert python(code) == "[]"


@pytest.mark.parametrize(
    "code",
    [
        "from headway import AutoTokenizer, AutoConfig, BertConfig",
        "from headway import AutoConfig; AutoConfig.for_model('llama', hidden_size=8)",
        "from headway import GPT2Config; GPT2Config(n_embd=4).to_json_string()",
        "from headway.registry import families\nfor f in families().values(): f.architecture(f.config())",
        "from headway.registry import families\nfor f in families().values(): f.names(f.config())",
        "from headway.families import bert, t5, llama, vit, mixtral",
        "import headway.spec, headway.names, headway.outputs, headway.errors, headway.rope",
        "from headway import HeadwayError, ModelOutput, register, Family",
    ],
)
def test_what_needs_no_torch_imports_none(code: str) -> None:
    assert python(f"import sys\n{code}\nprint('torch' in sys.modules, 'transformers' in sys.modules)") == "False False"


def test_reading_a_config_and_texts_needs_no_torch(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "bert", "hidden_size": 8}')
    (tmp_path / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "hello"]))
    code = f"""
import sys
from headway import AutoConfig, AutoTokenizer
assert AutoConfig.from_pretrained({str(tmp_path)!r}).hidden_size == 8
assert AutoTokenizer.from_pretrained({str(tmp_path)!r})("hello")["input_ids"] == [2, 5, 3]
print('torch' in sys.modules)
"""
    assert python(code) == "False"


def test_a_model_brings_torch_and_nothing_of_transformers() -> None:
    code = """
import sys
from headway import AutoModelForSequenceClassification, BertConfig, AutoTokenizer, AutoModel
small = BertConfig(hidden_size=8, num_attention_heads=2, num_hidden_layers=1, intermediate_size=8, vocab_size=9)
AutoModelForSequenceClassification.from_config(small)
others = ('transformers', 'torchvision', 'scipy')
print('torch' in sys.modules, [name for name in sys.modules if name.split('.')[0] in others])
"""
    assert python(code) == "True []"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_module_mentions_transformers_in_an_import(path: Path) -> None:
    """Import-linter reads static imports; this reads the strings of dynamic ones too."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            assert not [alias for alias in node.names if alias.name.split(".")[0] == "transformers"]
        elif isinstance(node, ast.ImportFrom):
            assert (node.module or "").split(".")[0] != "transformers"
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) in (
            "import_module",
            "__import__",
            "find_spec",
        ):
            assert not any(isinstance(part, ast.Constant) and part.value == "transformers" for part in node.args)


def test_every_module_can_be_imported_first() -> None:
    """No cycle hides behind the order in which modules happen to be imported."""
    names = [
        ".".join(("headway", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")
        for path in MODULES
        if path.name != "__main__.py"
    ]
    code = f"""
import importlib, sys
failed = []
for name in {names!r}:
    for loaded in [m for m in sys.modules if m == 'headway' or m.startswith('headway.')]:
        del sys.modules[loaded]
    try:
        importlib.import_module(name)
    except Exception as error:
        failed.append((name, repr(error)))
print(failed)
"""
    assert python(code) == "[]"


def test_no_module_asks_for_a_models_name() -> None:
    """The parts of networks are told what to be by a spec; a look at a name of a family would be a flag in disguise."""
    names = set(families())
    for folder in ("nn", "heads", "models"):
        for path in (PACKAGE / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Compare):
                    texts = {part.value for part in ast.walk(node) if isinstance(part, ast.Constant)}
                    assert not texts & names, f"{path} compares with {texts & names}"
