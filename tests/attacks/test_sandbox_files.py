"""Commands that change or read what is not theirs, in the sandbox; all around stays as it was.

Never run one of these commands without a sandbox.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.attacks.support import SECRET, Scene, rules, tree, write
from tests.sandbox.support import attack

MARK = "touch <home>/pwned"

WRITES = {
    "A05-repository": [
        "echo x > .git/hooks/post-commit",
        "echo x >> .git/config",
        "git config core.fsmonitor ./evil; git config core.hooksPath .",
        "git config alias.st '!./evil'; git config diff.x.textconv ./evil",
        "mv .git git; rm -rf .git; ln -sfn src .git",
    ],
    "A07-nested-repository": ["echo x > nested/repo/.git/config", "rm -rf nested/repo/.git"],
    "A05-repository-without-a-name": [
        "for d in objects refs refs/heads; do mkdir $d; done; echo 'ref: refs/heads/x' > HEAD",
        "rm -f refs; mv refs old; ln -sfn src refs; mkdir refs; echo x > refs",
        "mkdir src/refs; mv -T src/refs refs; rm -rf src/refs",
        "rm -rf objects HEAD",
    ],
    "A15-further-down": [
        "echo x >> nested/AGENTS.md; rm -f nested/AGENTS.md",
        "echo x > nested/.vscode/tasks.json; mv nested/.vscode nested/old",
    ],
    "A13-paths": [
        "echo x > ../pwned",
        "echo x > src/../../pwned",
        "echo x > <home>/pwned",
        "truncate -s 0 <home>/.bashrc; chmod 777 <home>/.ssh; touch -d 1999-01-01 <home>/.ssh",
    ],
    "A13-links": [
        "ln -s <home>/.bashrc src/l; echo x >> src/l; rm -f src/l",
        "ln -s <home> src/l; echo x > src/l/pwned; rm -f src/l",
    ],
    "A13-link-swapped": [
        "mkdir src/real; (for i in $(seq 60); do ln -sfn real src/l; ln -sfn <home> src/l; done)"
        " & for i in $(seq 60); do echo x > src/l/pwned; done 2>/dev/null; wait; rm -rf src/real"
        " src/l",
    ],
    "A13-other-ways-to-a-file": [
        "ln <home>/.bashrc src/l && echo x >> src/l",
        "ln .git/config src/l && echo x >> src/l",
        "echo x > /proc/self/root<home>/.bashrc",
        "echo x > /proc/1/root<home>/.bashrc",
        "echo x > /proc/self/cwd/../pwned",
        "echo x > .GIT/config; echo x > .Git/config",
        "mkdir -p ../pwned/; echo x > .git/config/; rmdir .git/hooks/",
        "echo x > ~/pwned; mkdir ~/.ssh; echo x > ~/.ssh/id",
    ],
    "A14-neighbour": [
        "echo x > <workspace>-two/pwned; echo x > ../project-two/secret.txt",
        "rm -rf <workspace>-two",
    ],
    "A15-what-others-run": [
        "echo x > .git/hooks/pre-commit; chmod +x .git/hooks/sample",
        "echo x >> ~/.bashrc; echo x >> <home>/.bashrc; echo x > ~/.profile",
        "echo x > .venv/bin/python; echo x > .venv/pyvenv.cfg",
        "mkdir .vscode; echo x > .vscode/tasks.json; echo x > .vscode",
    ],
    "A16-missing-names": [
        "mkdir .victor; echo x > .victor/settings.toml",
        "mkdir -p src/v/x; mv -T src/v .victor; rm -rf src/v",
        "rmdir .victor; mv .victor src/old; ln -s src .victor",
        "echo x > .mcp.json; rm -rf .mcp.json; echo x > .mcp.json",
        "mkdir .claude .codex .cursor .agents; echo x > .claude/settings.json",
        "echo x > CLAUDE.md; echo x > AGENTS.md",
    ],
    "A17-programs-that-only-look-harmless": [
        "git diff --no-index --output=<home>/pwned src .git",
        "find src -fprint <home>/pwned",
        f"find src -exec {MARK} ';'",
        "find <home> -name other.txt -delete",
        "sort -o <home>/pwned src/a.txt",
        f"echo '{MARK}' > src/e; chmod +x src/e; seq 9999 | sort -S 1k --compress-program=src/e"
        "; rm -f src/e",
        "sed -n 'w <home>/pwned' src/a.txt; sed 'e touch <home>/pwned' src/a.txt",
        "awk 'BEGIN{system(\"touch <home>/pwned\")}'",
        f"tar cf /dev/null src --checkpoint=1 '--checkpoint-action=exec={MARK}'",
        "rg --pre touch x <home>/pwned",
        "echo <home>/pwned | env nice xargs touch",
        "echo x | tee <home>/pwned",
    ],
    "A18-variables": [
        f"echo '{MARK}' > src/e; chmod +x src/e; BASH_ENV=src/e bash -c :; PAGER=src/e git log",
        "GIT_EXTERNAL_DIFF=src/e git diff --no-index src nested",
        "GIT_SSH_COMMAND=src/e git fetch x:y",
        "RIPGREP_CONFIG_PATH=src/e rg x; LD_PRELOAD=src/e ls; PYTHONSTARTUP=src/e cat src/a.txt",
        "rm -f src/e",
    ],
    "A19-same-name": [
        f"mkdir src/b; echo '{MARK}' > src/b/cat; chmod +x src/b/cat; cd src/b; ./cat; PATH=. cat",
        f"cat() {{ {MARK}; }}; cat src/a.txt",
        f"shopt -s expand_aliases\nalias cat='{MARK};'\ncat src/a.txt",
        "rm -rf src/b",
    ],
    "A20-what-a-shell-makes-of-characters": [
        f"ls\n{MARK}",
        f"ls\r; {MARK}",
        "touch$IFS<home>/pwned; touch${IFS}<home>/pwned",
        f"ls $({MARK}); ls `{MARK}`; cat <({MARK}); echo x > >({MARK})",
        f"sh <<E\n{MARK}\nE",
        f"sh <<< '{MARK}'",
        f"ls & {MARK}; ls |& {MARK}; ls || {MARK}; wait",
        "{touch,<home>/pwned}",
        "$'\\x74ouch' <home>/pwned; t''ouch <home>/pwned; \\touch <home>/pwned",
        "; ".join(["true"] * 60 + [MARK]),
    ],
    "A21-names-that-are-options": [
        "cd $TMPDIR; ln -s <home> out; touch a -- --target-directory=out; cp *",
        "cd $TMPDIR; ln -s <home>/pwned out2; touch -- --output=out2; git diff --no-index * b",
        "cd $TMPDIR; mkdir d; cd d; ln -s <home> l; touch -- -rf; rm * l/projects/other.txt",
    ],
    "A22-own-settings": ["cd .victor && echo x > settings"],
    "A37-temporary": [
        "ln -s <home>/.bashrc /tmp/victor-predictable; echo x > /tmp/victor-predictable"
    ],
}


@pytest.mark.parametrize("commands", WRITES.values(), ids=WRITES)
def test_nothing_but_the_workspace_is_changed(scene: Scene, commands: list[str]) -> None:
    before = tree(scene.home)
    scene.run_each(commands)
    assert tree(scene.home) == before
    assert not Path("/tmp/victor-predictable").is_symlink()  # noqa: S108 - it must not be there


def test_no_repository_is_made_of_the_workspace(scene: Scene) -> None:
    # A05, A16: git would obey its `config`, for which one part is missing.
    shutil.rmtree(scene.workspace / ".git")
    scene.run("mkdir objects; mkdir refs; mkdir -p refs/heads; echo 'ref: refs/heads/x' > HEAD")
    text = scene.run("[ -d refs ] && echo DONE; printf '[core]\\n\\tbare = true\\n' > config")
    assert "DONE" not in text
    parts = {"HEAD", "objects", "refs"} & {path.name for path in scene.workspace.iterdir()}
    assert parts <= {"HEAD", "objects"}
    git = ["git", "-c", "safe.directory=*", "-C", str(scene.workspace), "rev-parse", "--git-dir"]
    found = subprocess.run(git, capture_output=True, check=False, env={"PATH": os.defpath})
    assert found.returncode != 0


READS = {
    "A13-paths": [
        "cat ~/.ssh/id <home>/.ssh/id ../projects/other.txt",
        "cat /proc/self/root<home>/.ssh/id /proc/1/root<home>/.ssh/id /proc/*/cwd/../.ssh/id",
        "ln -s <home>/.ssh src/l; cat src/l/id; rm src/l",
        "ln <home>/.ssh/id src/l; cat src/l",
    ],
    "A14-neighbour": ["cat <workspace>-two/secret.txt; grep -r canary .. <home>"],
    "A23-environment": [
        "env; set; export -p; ps axe; cat /proc/self/environ",
        "cat /proc/*/environ /proc/*/cmdline | tr '\\0' '\\n'",
    ],
    "A24-descriptors": [
        "for n in $(seq 3 255); do cat <&$n; done",
        "for f in /proc/[0-9]*/fd/*; do [ -f $f ] && cat $f; done",
    ],
    "A26-memory": ["cat /proc/<victim>/environ; strings /proc/<victim>/mem"],
    "A27-devices": ["head -c 1000000 /dev/mem /dev/kmem /dev/vda /dev/sda /proc/kcore"],
}


@pytest.mark.parametrize("commands", READS.values(), ids=READS)
def test_nothing_secret_is_read(scene: Scene, commands: list[str]) -> None:
    secret = os.open(scene.home / ".ssh" / "id", os.O_RDONLY)
    os.set_inheritable(secret, True)
    try:
        text = scene.run_each(commands)
    finally:
        os.close(secret)
    assert SECRET not in text


def test_what_is_allowed_works(scene: Scene) -> None:
    text = scene.run(
        "cat src/a.txt .git/config AGENTS.md; echo b > src/b.txt; mkdir src/d; mv src/b.txt src/d;"
        "echo t > $TMPDIR/t && cat $TMPDIR/t; echo $(( $(nproc) > 0 ))"
    )
    assert text.split() == ["a", "[core]", "notes", "t", "1", "the", "end"]
    assert (scene.workspace / "src" / "d" / "b.txt").read_text() == "b\n"


@pytest.mark.parametrize("where", ["A06-inside", "A06-outside"])
def test_repository_that_a_git_file_names_is_protected(scene: Scene, where: str) -> None:
    inside = where == "A06-inside"
    store = scene.workspace / "src" / "store" if inside else scene.home / "store"
    shutil.move(scene.workspace / ".git", store)
    name = "src/store" if inside else str(store)
    write(scene.workspace / ".git", f"gitdir: {name}\n")
    scene.who.owns(scene.workspace)
    policy = rules(scene.workspace, scene.home)
    before = tree(scene.home)
    command = f"echo x > {name}/config; echo x > {name}/hooks/pre-commit; echo gitdir: src > .git"
    command += "; rm .git; mv .git git; echo the end"
    assert "the end" in attack(scene.sandbox, scene.who, command, policy)
    assert tree(scene.home) == before
