"""Fixtures of the quarantine tests."""

from pathlib import Path

import pytest

from tests.apps.clean.photo_trees import raise_cross_device, rename_within_folder


@pytest.fixture
def other_file_system(monkeypatch):
    """Simulate a quarantine on another file system."""
    monkeypatch.setattr(Path, "hardlink_to", raise_cross_device)
    monkeypatch.setattr(Path, "rename", rename_within_folder)
