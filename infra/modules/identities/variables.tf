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
