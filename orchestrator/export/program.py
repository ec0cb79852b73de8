"""The student as a program of torch.export: weights, arithmetic and normalisation in one file that needs torch alone."""

from __future__ import annotations

import ast
import io
import json
import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from kd_core.deploy import Deployed
from orchestrator.export.description import Description, ExportError, traced

USE = """\
import torch

run = torch.export.load("model.pt2").module()  # only of a file that you trust: it may be unpickled
images = torch.zeros(1, {channels}, {size}, {size}, dtype=torch.uint8)
probabilities = run(images)  # 1 × {classes}"""

# What a program of ours consists of; torch.export.load itself would unpickle and evaluate what else an archive holds.
MODEL, INPUTS = "models/model.json", "data/sample_inputs/model.pt"
CONFIGS = ("data/weights/model_weights_config.json", "data/constants/model_constants_config.json")
TENSOR = re.compile(r"data/(weights/weight|constants/tensor)_\d+\Z")
PLAIN = re.compile(r"(archive_(format|version)|byteorder|version|\.format_version|\.data/\w+)\Z")
OPERATOR = re.compile(r"(torch\.ops\.aten\.\w+\.\w+|_operator\.(getitem|add|sub|mul|floordiv|mod|eq|ge|gt|le|lt))\Z")
NUMBERS = {"Symbol", "Integer", "Add", "Mul", "Pow", "Max", "Min", "Mod", "FloorDiv", "CleanDiv", "PythonMod"}  # of sizes
SIZE = re.compile(r"[su]\d+\Z")  # how torch names one that is not fixed
TREES = (None, "builtins.tuple", "builtins.list", "builtins.dict")  # of arguments and results
FEWEST = 2  # images in the example, since a batch of one is taken for a constant


def save(student: Deployed, images_BCHW: Tensor, path: Path) -> None:
    """Trace the student for any number of images, and write it.

    Raises:
        ExportError: where it cannot be traced.
    """
    example_BCHW = images_BCHW[:1].expand(FEWEST, -1, -1, -1).contiguous()
    batch = torch.export.Dim("batch", min=1)
    with traced(path):
        program = torch.export.export(student, (example_BCHW,), dynamic_shapes={"images_BCHW": {0: batch}})
    program.example_inputs = None  # which would be a pickle in the file
    for node in program.graph.nodes:
        node.meta = {"val": node.meta["val"]} if "val" in node.meta else {}  # no paths of this machine
    torch.export.save(program, path)


def load(path: Path, description: Description) -> Callable[[Tensor], Tensor]:
    """The program of a file, which is looked through first: it may hold tensors and torch's own arithmetic, no pickle and no
    code.

    Raises:
        ExportError: where it holds anything else, or is damaged.
    """
    content = path.read_bytes()
    try:
        if strange := next(_strange(content), ""):
            raise ExportError(f"{path} is not opened: it holds {strange}, which no program of `kd export` does")
        run = torch.export.load(io.BytesIO(content)).module()
    except ExportError:
        raise
    except Exception as error:  # a damaged file makes torch raise many things
        raise ExportError(f"{path} cannot be read as a program ({error or type(error).__name__})") from None
    return torch.inference_mode()(run)


def _strange(content: bytes) -> Iterator[str]:
    """What an archive holds that a program of ours does not."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        folders = {info.filename.partition("/")[0] for info in archive.infolist()}
        if len(folders) != 1 or len(set(archive.namelist())) != len(archive.namelist()):
            yield "files of several archives"  # of which torch might read others than those that are looked at here
        for info in archive.infolist():
            name = info.filename.partition("/")[2]
            if name == INPUTS:
                if info.file_size:
                    yield "pickled inputs"
            elif name == MODEL:
                yield from _of_model(json.loads(archive.read(info)))
            elif name in CONFIGS:
                payloads = json.loads(archive.read(info))["config"].values()
                yield from ("a pickle" for payload in payloads if payload["use_pickle"])
            elif not (TENSOR.match(name) or PLAIN.match(name)):
                yield f"a file {name!r}"


def _of_model(value: Any) -> Iterator[str]:
    """What the description of a graph holds besides arithmetic of tensors, and of sizes."""
    if isinstance(value, list):
        for each in value:
            yield from _of_model(each)
    if not isinstance(value, dict):
        return
    for name, each in value.items():
        if name == "expr_str":
            if not _is_number(each):
                yield f"the expression {each!r}"
        elif name == "target" and "inputs" in value:
            if not (isinstance(each, str) and OPERATOR.match(each)):
                yield f"the operator {each!r}"
        elif name in ("in_spec", "out_spec"):
            if not _is_tree(json.loads(each)[1]):
                yield f"arguments of a type of their own, {each!r}"
        elif name in ("guards_code", "metadata"):
            if each:
                yield f"{name} {each!r}"
        else:
            yield from _of_model(each)


def _is_tree(spec: Any) -> bool:
    """Whether arguments or results are tuples, lists and dicts of tensors."""
    plain = spec["type"] in TREES and (spec["context"] or "null") in ("null", "[]")
    return plain and all(map(_is_tree, spec["children_spec"]))


def _is_number(text: str) -> bool:
    """Whether an expression, which will be evaluated, is arithmetic of sizes and nothing else."""
    try:
        return _is_arithmetic(ast.parse(text, mode="eval").body)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False


def _is_arithmetic(node: ast.expr) -> bool:
    match node:
        case ast.Constant(value=bool() | int()):
            return True
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return _is_arithmetic(operand)
        case ast.Call(func=ast.Name(id="Symbol"), args=[ast.Constant(value=str(name))], keywords=keywords):
            return bool(SIZE.match(name)) and all(_is_arithmetic(each.value) for each in keywords)
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]):
            return name in NUMBERS and all(map(_is_arithmetic, arguments))
    return False
