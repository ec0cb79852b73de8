"""What the site has besides docs/: the files of the root that are read, a page for every module, and what these link to.

A hook of MkDocs. Of files outside docs/ only those of the root are listed by hand, in the ``nav`` of mkdocs.yml.
"""

from __future__ import annotations

import logging
import posixpath
import re
from pathlib import Path, PurePosixPath
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
PACKAGES = ("kd_core", "orchestrator")
REFERENCE = "reference"
FOREIGN = re.compile(r"""<(?:script|link|img|iframe|source)\b[^>]*\b(?:src|href)=["']?(?:https?:)?//[^>]*>""")
LINK = re.compile(r"(\]\()([^)#:\s]+)(#[^)\s]*)?(\))")  # of Markdown, to a file


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what docs/ has not."""
    for name in named(config.nav):
        if (ROOT / name).is_file() and files.get_file_from_path(name) is None:
            files.append(File.generated(config, name, abs_src_path=str(ROOT / name)))
    for page in [file for file in files.documentation_pages() if origin(file.src_uri)]:
        for target in linked(page):
            if (ROOT / target).is_file() and files.get_file_from_path(place(target)) is None:
                inclusion = InclusionLevel.NOT_IN_NAV  # of Markdown that is no page of the nav
                files.append(File.generated(config, place(target), abs_src_path=str(ROOT / target), inclusion=inclusion))
    assert config.nav is not None
    config.nav.append({"Reference": [entry for package in PACKAGES for entry in reference(ROOT / package, files, config)]})
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Links of a checkout, made links of the site."""
    here = origin(page.file.src_uri)
    if here is None:
        return markdown

    def moved(link: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(here), link[2]))
        inside = posixpath.relpath(place(target), posixpath.dirname(page.file.src_uri) or ".")
        return f"{link[1]}{inside}{link[3] or ''}{link[4]}"

    return LINK.sub(moved, markdown)


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """Nothing is loaded from elsewhere."""
    for tag in FOREIGN.findall(output):
        logging.getLogger("mkdocs.hooks").warning(f"{page.file.src_uri} loads from elsewhere: {tag}")
    return output


def named(nav: Any) -> list[str]:
    """The files that a nav names."""
    if isinstance(nav, str):
        return [nav]
    return [name for entry in (nav.values() if isinstance(nav, dict) else nav or ()) for name in named(entry)]


def origin(page: str) -> str | None:
    """Where in a checkout a page of the site lies; None of what is made."""
    if page.startswith(f"{REFERENCE}/"):
        return None
    return f"docs/{page}" if (ROOT / "docs" / page).is_file() else page


def place(path: str) -> str:
    """Where on the site a file of a checkout lies."""
    return path.removeprefix("docs/")


def linked(page: File) -> list[str]:
    """The files of a checkout that a page links to."""
    here = posixpath.dirname(origin(page.src_uri) or "")
    return [posixpath.normpath(posixpath.join(here, link[2])) for link in LINK.finditer(page.content_string)]


def reference(folder: Path, files: Files, config: MkDocsConfig) -> list[dict[str, Any]]:
    """A package's part of the nav: itself, its packages and its modules, each with its page."""
    name = ".".join(folder.relative_to(ROOT).parts)
    inside: list[Any] = [add(name, "index", files, config)]
    for path in sorted(folder.iterdir()):
        if (path / "__init__.py").is_file():
            inside += reference(path, files, config)
        elif path.suffix == ".py" and not path.stem.startswith("__"):
            inside.append({path.stem: add(f"{name}.{path.stem}", path.stem, files, config)})
    return [{name if folder.parent == ROOT else folder.name: inside}]


def add(module: str, stem: str, files: Files, config: MkDocsConfig) -> str:
    """A module's page, and where it lies."""
    parts = module.split(".") if stem == "index" else module.split(".")[:-1]
    path = str(PurePosixPath(REFERENCE, *parts, f"{stem}.md"))
    files.append(File.generated(config, path, content=f"---\ntitle: {module}\n---\n\n::: {module}\n"))
    return path
