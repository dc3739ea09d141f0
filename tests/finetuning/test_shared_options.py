"""Options that several tasks have mean the same in each, since a command such as ``focus export`` has them once."""

from collections.abc import Iterator
from dataclasses import replace

from focus_export.served_heads import HEADS

from focus_plugin.finetuning.discovery import all_tasks
from focus_plugin.finetuning.options import FinetuningOptions
from focus_plugin.jobs.export_options import OnnxExport
from focus_plugin.options import Option, declared


def of_columns_and_heads() -> Iterator[tuple[str, Option]]:
    """The options that ``focus export`` has, with those that it has for every task."""
    yield from (("every task", entry) for entry in declared(OnnxExport))
    for task in all_tasks():
        yield from ((task.name, entry) for entry in declared(task.columns))
    for name in HEADS.names():
        yield from ((name, entry) for entry in declared(HEADS.find(name).declaration))


def of_finetuning() -> Iterator[tuple[str, Option]]:
    """The options of ``focus finetune``. A task may choose another default for one that all tasks have."""
    shared = {entry.name: entry for entry in declared(FinetuningOptions)}
    for task in all_tasks():
        if task.finetuning:
            for entry in declared(task.finetuning.options):
                default = shared[entry.name].default if entry.name in shared else entry.default
                yield task.name, replace(entry, default=default)


def same(options: Iterator[tuple[str, Option]]) -> int:
    """Fail if two options of one name or flag differ in anything; how many names there are."""
    seen: dict[str, Option] = {}
    for whose, entry in options:
        for name in (f"name {entry.name}", f"flag {entry.flag}"):
            assert seen.setdefault(name, entry) == entry, f"{whose}: --{entry.flag}"
    return len(seen)


def test_an_option_that_two_tasks_share_means_the_same_in_both() -> None:
    assert same(of_columns_and_heads()) > 10
    assert same(of_finetuning()) > 10


def test_no_option_of_a_table_is_one_of_finetuning() -> None:
    for task in all_tasks():
        if task.finetuning:
            names = [entry.flag for kind in (task.finetuning.options, task.columns) for entry in declared(kind)]
            assert len(names) == len(set(names)), task.name
