"""Votes as a COCO file: one annotation a vote, the whole picture as its box, the rest as ``attributes`` (as CVAT does).

Every annotation of COCO has a category, so an answer without a label cannot be in one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from emolab.errors import DataError
from emolab.labeling.exchange.vote_columns import COLUMNS
from emolab.records import Sample

#: The field of an image that holds the sample's id; other programs leave it alone.
SAMPLE = "emolab_sample"


def coco_document(
    table: Iterable[Mapping[str, Any]], samples: Mapping[str, Sample], classes: Sequence[str]
) -> dict[str, Any]:
    """The rows that have a label as a COCO document; ``samples`` by id, ``classes`` come first among the categories.

    Raises :class:`DataError` for samples that have no width and height, as clips and sentences.
    """
    rows = [row for row in table if row["label"] is not None]
    names = list(dict.fromkeys([*classes, *(row["label"] for row in rows)]))
    category = {name: number for number, name in enumerate(names, 1)}
    image = {sample: number for number, sample in enumerate(dict.fromkeys(row["sample"] for row in rows), 1)}
    attributes = [name for name in COLUMNS if name not in ("sample", "label")]
    sizeless = [sample for sample in image if not (samples[sample].width and samples[sample].height)]
    if sizeless:
        raise DataError(
            f"COCO holds pictures: {len(sizeless)} of {len(image)} samples have no width and height.",
            hint="Write another format: --format studio",
        )
    annotations = []
    for number, row in enumerate(rows, 1):
        sample = samples[row["sample"]]
        width, height = sample.width or 0, sample.height or 0
        annotations.append(
            {
                "id": number, "image_id": image[row["sample"]], "category_id": category[row["label"]],
                "bbox": [0, 0, width, height], "area": width * height, "iscrowd": 0,
                "attributes": {name: row[name] for name in attributes},
            }
        )  # fmt: skip
    return {
        "info": {"description": "Votes written by emolab label export"},
        "licenses": [],
        "images": [_image(samples[sample], number) for sample, number in image.items()],
        "categories": [{"id": number, "name": name, "supercategory": ""} for name, number in category.items()],
        "annotations": annotations,
    }


def coco_rows(document: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each annotation as a row with its place. Raises :class:`DataError` for one whose image or category is missing."""
    images = {one.get("id"): one for one in _objects(document, "images")}
    names = {one.get("id"): one.get("name") for one in _objects(document, "categories")}
    for number, one in enumerate(_objects(document, "annotations"), 1):
        place = f"Annotation {number}"
        image, label = images.get(one.get("image_id")), names.get(one.get("category_id"))
        if image is None or label is None:
            raise DataError(f"{place} has {'an image' if image is None else 'a category'} that the file does not name.")
        more = one.get("attributes")
        sample = image.get(SAMPLE) or PurePosixPath(str(image.get("file_name", ""))).stem
        yield place, {**(more if isinstance(more, Mapping) else {}), "sample": sample, "label": label}


def _image(sample: Sample, number: int) -> dict[str, Any]:
    size = {"width": sample.width or 0, "height": sample.height or 0}
    return {"id": number, "file_name": sample.media, **size, SAMPLE: sample.id}


def _objects(document: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    found = document.get(name)
    if not isinstance(found, list) or not all(isinstance(one, Mapping) for one in found):
        raise DataError(f'The COCO file has no list "{name}" of objects.')
    return found
