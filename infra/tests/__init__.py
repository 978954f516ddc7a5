"""How the Terraform modules are tested without Google: a workspace, a stand-in provider, golden plans."""
