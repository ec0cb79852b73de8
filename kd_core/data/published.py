"""Archives that data sets are published as: fetched, compared with their MD5, and unpacked once."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kd_core.data.split import DataError
from kd_core.vision import datasets


@dataclass(frozen=True)
class Archive:
    """``filename``, from ``url``, holds ``folder``."""

    title: str
    folder: str
    filename: str
    url: str
    md5: str

    @classmethod
    def of(cls, loader: Any) -> Archive:
        """The archive that a torchvision data set reads from."""
        return cls(loader.__name__, loader.base_folder, loader.filename, loader.url, loader.tgz_md5)

    def unpack(self, root: Path, download: bool) -> Path:
        """The folder under ``root``; put there whole or not at all, even where several processes do so at once.

        Raises:
            DataError: where the archive is absent or is not the published one.
        """
        folder, file = root / self.folder, root / self.filename
        if folder.is_dir():
            return folder
        if not file.is_file() and not download:
            raise DataError(f"{self.title} is not under {root}; {self.remedy(root)}")
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=root, prefix=".unpacking-") as scratch:
            if not file.is_file():
                file = self._download(root, Path(scratch))
            elif not datasets.utils.check_integrity(file, self.md5):
                raise DataError(f"{file} is not as published (MD5). Delete it; then {self.remedy(root)}")
            datasets.utils.extract_archive(file, scratch)
            try:
                os.rename(Path(scratch, self.folder), folder)
            except OSError:
                if not folder.is_dir():  # not even put there by another process
                    raise
        return folder

    def damaged(self, root: Path, files: Iterable[Iterable[Any]]) -> DataError:
        """What to say where some of the (name, MD5) are not what lies in the folder."""
        paths = ((root / self.folder / name, md5) for name, md5 in files)
        named = ", ".join(str(path) for path, md5 in paths if not datasets.utils.check_integrity(path, md5))
        return DataError(f"{named}: missing, or not as published (MD5). Delete {root / self.folder}; then {self.remedy(root)}")

    def remedy(self, root: Path) -> str:
        """How the data set gets under ``root``."""
        return f"run with data.download: true, or put {self.filename} into {root}"

    def _download(self, root: Path, folder: Path) -> Path:
        try:
            datasets.utils.download_url(self.url, folder, self.filename, self.md5)
        except (OSError, RuntimeError) as error:  # no way there, or not the published file
            raise DataError(
                f"{self.url} could not be downloaded ({error}); get {self.filename} by other means and put it into {root}"
            ) from error
        return folder / self.filename
