"""Files of images, which stay on disk."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from PIL import Image, ImageOps
from torch import Tensor

from kd_core.data.decoded import Decoded, Report, fit
from kd_core.data.split import DataError

ALPHA = ("RGBA", "RGBa", "LA", "La", "PA")  # modes of PIL's with a channel of opacity


@dataclass(frozen=True)
class Files(Decoded):
    """Files of images and their labels (int64, N). An image comes out as RGB, ``size`` × ``size``, by
    :func:`kd_core.data.decoded.fit`.

    Files are decoded by as many threads as torch computes with. Indexing opens nothing.
    """

    paths: tuple[str, ...]
    labels_N: Tensor
    size: int
    published: int | None = None  # H = W that every file must have; None: any
    upright: bool = False  # whether images are turned as their EXIF says, and transparent ones lie on white

    def __getitem__(self, indices_B: Tensor) -> Files:
        chosen = torch.arange(len(self))[indices_B.cpu()].tolist()
        return replace(self, paths=tuple(self.paths[index] for index in chosen), labels_N=self.labels_N[indices_B])

    @property
    def image(self) -> tuple[int, int, int]:
        """(C, H, W) of an image."""
        return 3, self.size, self.size

    def labelled(self, labels_N: Tensor) -> Files:
        return replace(self, labels_N=labels_N)

    def to(self, device: torch.device | str) -> Files:
        """The same files, whose images are to come out on a device."""
        return replace(self, labels_N=self.labels_N.to(device))

    def decode_at(self, index: int) -> Tensor:
        return decoded(self.paths[index], self.size, published=self.published, upright=self.upright)

    def name_at(self, index: int) -> str:
        return self.paths[index]

    def verify(self, report: Report | None = None) -> None:
        """Read the header of every file: a fraction of a millisecond each.

        Raises:
            DataError: naming the files that are no images, or not of the published size, where there is no report. A file that
                is cut off behind its header is found when it is decoded.
        """

        def check_header(index: int) -> None:
            with opened(self.paths[index], self.published):
                pass

        self.every(check_header, report)


def decoded(path: str, size: int, channels: int = 3, published: int | None = None, *, upright: bool = False) -> Tensor:
    """The image of a file as networks see it before normalisation: uint8 CHW, RGB or of one channel grey, its middle square
    by :func:`kd_core.data.decoded.fit`. ``upright``: as people see it, see :func:`seen`.

    Raises:
        DataError: naming the file where it cannot be decoded.
    """
    from kd_core.vision import transforms  # torchvision is imported only where images are decoded

    with opened(path, published) as image:
        shown = (seen(image) if upright else image).convert("L" if channels == 1 else "RGB")
        image_CHW: Tensor = transforms.functional.pil_to_tensor(fit(shown, size))
        return image_CHW


def seen(image: Image.Image) -> Image.Image:
    """An image as viewers show it: turned and mirrored as its EXIF says, and what is transparent on white. PIL by itself keeps
    a photograph on the side that it was stored on, and shows the colour that a transparent pixel hides."""
    turned = ImageOps.exif_transpose(image)
    if not (turned.mode in ALPHA or "transparency" in turned.info):
        return turned
    above = turned.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", above.size, "white"), above)


@contextlib.contextmanager
def opened(path: str, published: int | None = None) -> Iterator[Image.Image]:
    """A file's image, of which the header is read; ``published`` is the H = W that it must have.

    Raises:
        DataError: naming the file where it is no image of 8 bits a channel and that size, also for what reading it raises.
    """
    try:
        with Image.open(path) as image:
            if image.mode[0] in "IF" or _is_deep(image):
                raise DataError(f"{path} has more than 8 bits a channel ({image.mode}); convert it")
            if published and image.size != (published, published):
                width, height = image.size
                raise DataError(f"{path} is {width}×{height}, not {published}×{published}; it is not the published one")
            yield image
    except DataError:
        raise
    except Exception as error:  # damaged files make PIL raise much besides OSError
        raise DataError(f"{path} cannot be read as an image ({error or type(error).__name__}); replace or remove it") from error


def _is_deep(image: Image.Image) -> bool:
    """Whether a file has more bits a channel than its PIL image, which keeps the upper ones: by what PIL tells its decoder."""
    for tile in getattr(image, "tile", []):
        mode, *more = tile.args if isinstance(tile.args, tuple) else (tile.args,)
        if re.search(r";16[BLN]", str(mode)) or (tile.codec_name == "ppm" and more and more[0] > 255):
            return True
    return False
