variable "project" {
  description = "Id of the project."
  type        = string
}

variable "region" {
  description = "The one region in which the secrets are kept."
  type        = string
}

variable "secrets" {
  description = "Name of each secret, and who may read it: a name of your choice to a member."
  type        = map(map(string))

  validation {
    condition     = alltrue([for name in keys(var.secrets) : can(regex("^[A-Za-z][A-Za-z0-9_-]{0,254}$", name))])
    error_message = "A secret's name has letters, digits, dashes and underscores and begins with a letter."
  }
}
