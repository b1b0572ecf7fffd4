# The commands that CI runs; `bash scripts/test.sh` sets the environment up first.
.PHONY: lint types test check docs

lint:
	ruff check .
	ruff format --check .

types:
	mypy mindcode

test:
	python -m pytest -m "not slow"

check: lint types test

docs:
	python -m mindcode.config.reference > docs/config.md
