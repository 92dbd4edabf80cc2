"""How Sphinx builds the site; see `make docs`."""

import atexit
import os
import shutil
import sys
import tempfile
from importlib.metadata import version as installed
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "_ext"), str(HERE.parent)]
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# code cells run in processes of their own, which read the same environment
os.environ["PYTHONPATH"] = os.pathsep.join(
    part for part in (str(HERE.parent), str(HERE / "_ext"), os.environ.get("PYTHONPATH")) if part
)

project = "nengo_dl"
author = "The NengoDL developers of this project"
copyright = "2026, the NengoDL developers of this project"
release = version = installed("nengo-dl")

extensions = [
    "sphinx.ext.autodoc",
    "numpydoc",
    "myst_nb",
    "sphinx_design",
    "sphinx_copybutton",
    "formulas",
    "tables",
]
exclude_patterns = ["_build", "_ext", "conf.py", "images/README.md"]
default_role = "py:obj"  # names in docstrings are links where there is something to link to
root_doc = "index"

# ------------------------------------------------------------------ pages and notebooks
source_suffix = {".md": "myst-nb", ".ipynb": "myst-nb", ".py": "myst-nb"}
nb_custom_formats = {".py": ["jupytext.reads", {"fmt": "py:percent"}]}
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath", "substitution"]
myst_heading_anchors = 3
myst_substitutions = {"release": release}
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_in_temp = True
nb_execution_timeout = 600
nb_execution_show_tb = True
nb_merge_streams = True

# ------------------------------------------------------------------ the reference
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # docstrings say more
toc_object_entries_show_parents = "hide"
numpydoc_show_class_members = False
numpydoc_xref_param_type = False
add_module_names = False

# ------------------------------------------------------------------ looks
html_theme = "pydata_sphinx_theme"
html_title = "nengo_dl"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_extra_path = ["llms.txt"]
html_copy_source = False
html_show_sourcelink = False
html_sidebars = {"index": []}
html_theme_options = {
    "logo": {"text": "nengo_dl"},
    "navbar_align": "left",
    "header_links_before_dropdown": 6,
    "show_toc_level": 2,
    "navigation_depth": 3,
    "show_prev_next": True,
    "footer_start": ["copyright"],
    "footer_end": ["sphinx-version"],
    "secondary_sidebar_items": ["page-toc"],
}
# nothing is fetched, neither when the site is built nor when it is read
html_math_renderer = "mathml"
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

# the notebooks' own settings, instead of the user's: TensorFlow's log of what it looks for is not
# what a cell prints, nor is that another process uses Nengo's cache of decoders
_profile = Path(tempfile.mkdtemp(prefix="nengo_dl-docs-")) / "profile_default"
_profile.mkdir()
(_profile / "ipython_kernel_config.py").write_text("c.IPKernelApp.capture_fd_output = False\n")
os.environ["IPYTHONDIR"] = str(_profile.parent)
_startup = _profile / "startup"
_startup.mkdir()
(_startup / "cache.py").write_text(
    'import nengo\n\nnengo.rc["decoder_cache"]["enabled"] = "False"\n'
)
atexit.register(shutil.rmtree, _profile.parent, ignore_errors=True)

# `make docs` executes each page in a new process, as its readers do; elsewhere than on Linux,
# libraries do not expect that the process they are in is forked
if "NENGO_DL_DOCS_QUICK" in os.environ and sys.platform == "linux":
    import prepared_kernel

    prepared_kernel.prepare(str(_profile.parent))
