"""Builds the image with the builder at hand: docker, podman or buildah, in this order.

    python -m tools.image [--tag NAME] [--base IMAGE] [--requirements FILE]

Exit code: 0 when it is built, 1 when there is no builder or it failed.
"""

from __future__ import annotations

import argparse
import subprocess
import sys

from tools.image.build import BUILDERS, build, builder_at_hand


def main() -> int:
    parser = argparse.ArgumentParser(prog="make image", description="Builds the image.")
    parser.add_argument("--tag", default="freshbooks-gateway", help="the image's name (%(default)s)")
    parser.add_argument("--base", help="the image to build on, instead of the one that the Dockerfile names")
    parser.add_argument("--requirements", help="a lock of more than the service needs: requirements-otel.txt")
    options = parser.parse_args()
    builder = builder_at_hand()
    if builder is None:
        print(f"make image: no builder answers here. Install one of: {', '.join(BUILDERS)}", file=sys.stderr)
        return 1
    print(f"==> image {options.tag}: {' '.join(builder)}", flush=True)
    try:
        build(builder, options.tag, options.base, options.requirements)
    except subprocess.CalledProcessError as error:
        print(f"make image: {builder[0]} ended with exit code {error.returncode}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
