variable "project" {
  description = "Id of the project."
  type        = string
}

variable "prefix" {
  description = "What the accounts' names begin with."
  type        = string
  default     = "modelfleet"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,18}[a-z0-9]$", var.prefix))
    error_message = "The prefix has 6 to 20 lower case letters, digits and dashes: an account's whole name has at most 30."
  }
}

variable "repository" {
  description = "The repository on GitHub whose workflows may sign in, as owner/name."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9-]+/[A-Za-z0-9._-]+$", var.repository))
    error_message = "The repository is given as owner/name."
  }
}

variable "owner_id" {
  description = "GitHub's number of the repository's owner (`gh api users/acme --jq .id`). A name that was given up can be taken by somebody else; its number cannot."
  type        = string

  validation {
    condition     = can(regex("^[0-9]+$", var.owner_id))
    error_message = "The owner is given by number; its name is part of the repository."
  }
}

variable "deploy_environment" {
  description = "The environment on GitHub from which is deployed; its rules say who must approve."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]*$", var.deploy_environment))
    error_message = "The environment's name has lower case letters, digits and dashes."
  }
}

variable "state_bucket" {
  description = "The bucket with Terraform's state, which a plan reads."
  type        = string
}
