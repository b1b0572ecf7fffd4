"""The process where the workers of a job meet. The launcher starts it with MS_ROLE=MS_SCHED in its environment.

python -m mindcode.runtime.scheduler
"""

from mindspore.communication import init

if __name__ == "__main__":
    init()  # in this role it returns only by ending the process: when all workers are done, or one is missing
