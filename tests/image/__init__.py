"""A package, so that pytest lets go of the image as soon as its tests are over."""
