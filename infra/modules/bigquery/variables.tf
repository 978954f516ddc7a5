variable "project" {
  description = "Id of the project."
  type        = string
}

variable "location" {
  description = "Where the data lie: the region of the workers."
  type        = string
}

variable "dataset" {
  description = "Name of the dataset."
  type        = string
  default     = "modelfleet"

  validation {
    condition     = can(regex("^[A-Za-z_][A-Za-z0-9_]{0,254}$", var.dataset))
    error_message = "A dataset's name has letters, digits and underscores."
  }
}

variable "fleets" {
  description = "Task of each fleet; it decides the columns."
  type        = map(string)

  validation {
    condition     = alltrue([for task in values(var.fleets) : contains(["binary", "multiclass", "regression"], task)])
    error_message = "A task is binary, multiclass or regression."
  }
}

variable "keep_days" {
  description = "Days after which predictions are deleted; null keeps them for ever. Evaluations are always kept."
  type        = number
  default     = 400

  validation {
    condition     = var.keep_days == null ? true : var.keep_days >= 35
    error_message = "At least 35 days: drift is told from a month of predictions."
  }
}

variable "deletion_protection" {
  description = "Whether Terraform refuses to delete a table."
  type        = bool
  default     = true
}

variable "writers" {
  description = "Who adds rows, by a name of your choice: members."
  type        = map(string)
  default     = {}
}

variable "readers" {
  description = "Who reads."
  type        = map(string)
  default     = {}
}
