"""What users can choose: the options, their rules, and what was chosen for single objects.

May import `surrogate` and `utils`. A new option is one field of `Settings` in `settings.py`.
"""

from .settings import Settings, configure_settings, get_setting

__all__ = ["Settings", "configure_settings", "get_setting"]
