"""Finds the packages, so that none has to be listed; everything else about the distribution is in setup.cfg."""

from setuptools import find_packages, setup

FOLDERS = {"focus_plugin": "focus_plugin", "focus_cli": "cli", "focus_export": "export"}

setup(
    package_dir=FOLDERS,
    packages=[
        name
        for package, folder in FOLDERS.items()
        for name in (package, *(f"{package}.{inner}" for inner in find_packages(folder)))
    ],
)
