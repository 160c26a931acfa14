"""Filters that are known whatever the image, as operations."""

from convcli.operations.filter import planned
from convcli.operations.operation import ANYTHING
from convcli.operations.pair import planned_pair


class Ready:
    """A filter that no request was made for."""

    def __init__(self, filter_):
        self.filter = filter_

    def on(self, info, limits=ANYTHING):
        """The filter planned for an image."""
        return (planned_pair if self.filter.pair else planned)(self.filter, info, limits)
