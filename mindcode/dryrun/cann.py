"""What is known of CANN's libraries, as tables: names that MindSpore asks for, and the few answers that matter.

CANN is the software of Ascend NPUs, of which MindSpore's wheel holds the callers only. Almost everything that they call
may return 0, the code of success; the exceptions are here.
"""

import re
from typing import NamedTuple

VERSION = "9.0.0"
"""The version that MindSpore 2.9.0 compares itself with."""

MAIN_LIBRARY = "libascendcl.so"
"""The library that holds all functions; the others are empty and lead here."""

OPENED_BY_NAME = (
    "libacl_op_compiler.so",
    "libacl_tdt_channel.so",
    "libascend_hal.so",
    "libascendalog.so",
    "libatb.so",
    "libc_sec.so",
    "libexe_graph.so",
    "libge_runner.so",
    "libgraph.so",
    "libgraph_base.so",
    "libhccl.so",
    "libmmpa.so",
    "libmsprofiler.so",
    "libnnopbase.so",
    "libopapi.so",
    "libplatform.so",
    "libprofapi.so",
    "libregister.so",
    "libruntime.so",
)
"""Libraries that MindSpore opens while it runs, so that no file of the wheel says that it needs them."""

LOOKED_UP = re.compile(
    rb"(?<![A-Za-z0-9_])(?:acl(?:nn|rt|mdl|op|prof|tdt|dump|sys|gen)?[A-Z]|(?:Hccl|Lccl|rt)[A-Z]"
    rb"|Msprof|mstx|(?:Unin|In)itHugeMem|UnInitHugeMem|ReleaseHugeMem)[A-Za-z0-9_]{2,80}(?=\0)"
)
"""Functions that MindSpore looks up by name while it runs: they are strings in its libraries."""

KERNEL, WORKSPACE = "aclnn", "GetWorkspaceSize"
"""Every kernel aclnnX comes with a function aclnnXGetWorkspaceSize."""

CHIP_VARIABLE, CHIP = "MINDCODE_STUB_CHIP", "Ascend910B2"
"""The variable that names another chip for the stub to be, and what it is otherwise: an NPU of 64 GB."""


class Answer(NamedTuple):
    """A C function that has to answer something."""

    result: str
    arguments: str
    body: str


_NAME_OF_CHIP = f'const char *name = getenv("{CHIP_VARIABLE}"); if (!name) name = "{CHIP}";'

ANSWERS = {
    "aclrtGetSocName": Answer("const char *", "", f"{_NAME_OF_CHIP} return name;"),
    "rtGetSocVersion": Answer(
        "int", "char *text, unsigned size", f'{_NAME_OF_CHIP} snprintf(text, size, "%s", name); return 0;'
    ),
    "aclGetRecentErrMsg": Answer("const char *", "", 'return "";'),
    "HcclGetErrorString": Answer("const char *", "int", 'return "";'),
    "aclrtGetDeviceCount": Answer("int", "unsigned *count", "*count = 8; return 0;"),
    "aclrtGetDevice": Answer("int", "int *number", "*number = 0; return 0;"),
    "aclrtGetMemInfo": Answer(
        "int", "int, size_t *free, size_t *total", "*free = *total = (size_t)64 << 30; return 0;"
    ),
}

CONSTRUCTORS = {
    r"_ZN2ge\d+(AscendString|Shape|TensorDesc|Tensor|TensorType|Promote|Graph|GNode|GraphBuffer)C[12]E": "Handle",
    r"_ZN2ge8OperatorC[12]E": "Operator",
}
"""Constructors of the graph engine, by their mangled names, and what they leave behind: see OBJECTS.

These objects travel by value: one that is left as the stack's garbage crashes the first copy.
"""

RETURNS = {
    r"_ZNK2ge8Operator(7GetName|9GetOpType)Ev": "std::string",
    r"_ZNK2ge5Graph7GetNameEv": "std::string",
    r"_ZNK2ge8Operator13GetOutputDescE": "Handle",
    r"_ZNK2ge6Tensor13GetTensorDescEv": "Handle",
    r"_ZNK2ge10TensorDesc(8GetShape|14GetOriginShape)Ev": "Handle",
    r"_ZN2ge7Session23GetCompiledGraphSummaryE": "Handle",
    r"_ZN2ge15OperatorFactory14CreateOperatorE": "Operator",
    r"_ZNK2ge5Shape7GetDimsEv": "std::vector<long>",
    r"_ZNK2ge5GNode26GetInDataNodesAndPortIndexs": "std::vector<long>",
    r"_ZNK2ge5GNode\d+Get(In|Out)": "std::vector<long>",
    r"_ZNK2ge5Graph13GetDirectNodeEv": "std::vector<long>",
    r"_ZNK2ge11AscendString9GetStringEv": "const char *",
}
"""Functions of the graph engine that return an object, which their mangled names do not say."""

OBJECTS = """
#include <cstdio>
#include <cstdlib>
#include <new>
#include <string>
#include <vector>
extern "C" void *operator_vtable[] __asm__("_ZTVN2ge8OperatorE") __attribute__((weak));
/* a shared pointer to nothing */
struct Handle { void *pointer, *owner; Handle() : pointer(nullptr), owner(nullptr) {} ~Handle() {} };
/* a table of virtual functions and a shared pointer to nothing */
struct Operator {
  void *vtable, *pointer, *owner;
  Operator() : vtable(operator_vtable ? operator_vtable + 2 : nullptr), pointer(nullptr), owner(nullptr) {}
  ~Operator() {}
};
"""
"""C++ that stands for CANN's classes; their headers are not at hand, their layouts follow from MindSpore's use."""
