"""Signatures: who may say what serves, whoever else may write to where it is said."""
