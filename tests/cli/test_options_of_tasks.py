"""Options that only some tasks have."""

import pytest
from click.testing import CliRunner
from focus_cli.main import main


@pytest.mark.parametrize(
    ("task", "option", "others"),
    [
        ("embedding", "--class-sampling", "classification, pairs, questions, tagging"),
        ("tagging", "--label-smoothing", "classification, pairs"),
        ("questions", "--repair", "tagging"),
    ],
)
def test_an_option_of_other_tasks_is_told_with_their_names(task: str, option: str, others: str) -> None:
    done = CliRunner().invoke(main, ["finetune", task, option, "1"], catch_exceptions=False)
    assert done.exit_code == 2
    assert done.output.endswith(f"Error: {task} has no option {option}, unlike {others}.\n")


def test_an_option_of_no_task_is_no_option() -> None:
    done = CliRunner().invoke(main, ["finetune", "tagging", "--nonsense"], catch_exceptions=False)
    assert done.exit_code == 2
    assert "No such option '--nonsense'" in done.output
