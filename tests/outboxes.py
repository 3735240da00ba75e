"""An outbox that is delivered by the test, in its own process."""

from outliers_bench.tracking.delivery import Delivery
from outliers_bench.tracking.outbox import FOLDER


class Outbox:
    """Outbox of a cache folder, without a sender.

    Parameters
    ----------
    cache : Path
    uri : str
        Absolute tracking URI.
    """

    def __init__(self, cache, uri):
        self.cache, self.uri = cache, uri
        self.path = cache / FOLDER

    def deliver(self):
        """Deliver everything that can be delivered."""
        delivery = Delivery(self.path, self.uri)
        while delivery.deliver():
            pass
