"""A fleet with a past whose home is "below a bucket", for which a folder stands."""

from __future__ import annotations

import os
from datetime import timedelta

from modelfleet.bundles.reader import Bundle
from modelfleet.bundles.transfer import send
from modelfleet.releases.bucket_guard import holding
from modelfleet.releases.manifest import BundleRef
from modelfleet.stores.local import LocalStore
from tests.loop.aged_fleet import AgedFleet, now

LATER = timedelta(days=2)
"""By so much the clock of the collector is ahead, so that nothing is too young."""


class SharedFleet(AgedFleet):
    """The fleet ``sales``, whose home is "below a bucket"."""

    def __init__(self, root, machine="here"):
        super().__init__(root / machine, shared=root / "bucket")
        self.refs = {name: self.bundle(name) for name in "abcdef"}  # gone from here once collected

    def sent(self, name):
        """Send a bundle and return what a release would name."""
        bundle = Bundle.open(self.bundle(name).uri)
        with holding(self.folders.shared):
            return BundleRef(uri=send(bundle, self.folders.published), sha256=bundle.sha256)

    def release(self, names):
        for name in names:
            self.ledger.publish(bundle=self.sent(name), reason="promote")

    def collect(self, **more):
        return super().collect(**({"now": now() + LATER} | more))

    def files(self, part="bundles"):
        """Return the names of the files below a folder of the bucket."""
        return {entry.name for entry in LocalStore(self.folders.shared / part).below()}

    @property
    def there(self):
        """Return which bundles are whole."""
        found = set()
        for name in "abcdef":
            at = self.at(name)
            if (at / "bundle.json").exists():
                Bundle.open(at)
                found.add(name)
        return found

    def at(self, name):
        """Return where a bundle lies, once it is sent."""
        return self.folders.published / self.refs[name].sha256[:16]

    def copy(self, name, *, days, part="runs"):
        """Leave a copy for workers that is so many days old."""
        for file in ("candidate/a.arrow", "sums/candidate/a.arrow@1@00"):
            path = self.folders.shared / part / name / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"x")
            os.utime(path, ((now() + LATER - timedelta(days=days)).timestamp(),) * 2)
