"""How do scripts and notebooks run experiments? The public `Experiment`, in a process that is theirs."""
