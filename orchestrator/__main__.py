"""`python -m orchestrator` is `kd`, also where the project is not installed."""

import sys

from orchestrator.cli.app import main

sys.exit(main())
