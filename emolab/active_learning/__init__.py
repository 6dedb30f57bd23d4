"""SUGGEST: which samples deserve the next votes."""
