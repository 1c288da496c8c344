"""Fetch one archive from an ordered list of mirrors and check it against its md5."""

import hashlib
import os
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

CHUNK = 1 << 20  # bytes


def md5_of(path: Path) -> str:
    """Hexadecimal md5 of a file."""
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def fetch(archive: Path, md5: str, mirrors: Sequence[str], timeout: float = 30.0) -> None:
    """Make sure that `archive` exists and has the given md5, trying the mirrors in order.

    Args:
        archive: where the file belongs.
        md5: what it must hash to; mirrors are trusted for speed only.
        mirrors: URLs, best first.
        timeout: seconds without a byte after which a mirror is given up.

    Raises:
        ValueError: a file with another md5 already lies at `archive`.
        ConnectionError: no mirror delivered the file; the message lists what each one did.
    """
    if archive.exists():
        found = md5_of(archive)
        if found != md5:
            raise ValueError(
                f"{archive} has md5 {found}, expected {md5}: an incomplete or different file. "
                "Delete it and run again, or replace it."
            )
        return
    archive.parent.mkdir(parents=True, exist_ok=True)
    failures = []
    for url in mirrors:
        partial = archive.with_name(f"{archive.name}.{os.getpid()}.part")
        try:
            copy_url(url, partial, timeout)
            found = md5_of(partial)
            if found == md5:
                os.replace(partial, archive)
                return
            failures.append(f"{url}: wrong md5 {found}")
        except (OSError, ValueError) as error:  # URLError is an OSError, a bad URL a ValueError
            failures.append(f"{url}: {error}")
        finally:
            partial.unlink(missing_ok=True)
    raise ConnectionError("no mirror delivered it:\n  " + "\n  ".join(failures))


def copy_url(url: str, target: Path, timeout: float) -> None:
    """Copy what `url` serves to `target`, with a progress bar on a terminal."""
    request = urllib.request.Request(url, headers={"User-Agent": "rigl_edu"})
    with urllib.request.urlopen(request, timeout=timeout) as reply, target.open("wb") as file:
        total = int(reply.headers.get("Content-Length") or 0) or None
        host = url.split("/")[2] or "file"
        with tqdm(total=total, unit="B", unit_scale=True, desc=host, disable=None) as bar:
            while chunk := reply.read(CHUNK):
                file.write(chunk)
                bar.update(len(chunk))
