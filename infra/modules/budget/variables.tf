variable "project_number" {
  description = "Number of the project whose costs are watched."
  type        = string

  validation {
    condition     = can(regex("^[0-9]+$", var.project_number))
    error_message = "A project's number has digits only; its id is another thing."
  }
}

variable "billing_account" {
  description = "Id of the billing account that pays."
  type        = string

  validation {
    condition     = can(regex("^[0-9A-F]{6}-[0-9A-F]{6}-[0-9A-F]{6}$", var.billing_account))
    error_message = "A billing account looks like 012345-6789AB-CDEF01."
  }
}

variable "name" {
  description = "Name of the budget."
  type        = string
  default     = "modelfleet"
}

variable "amount" {
  description = "What may be spent in a month, in whole units of the billing account's currency."
  type        = number

  validation {
    condition     = var.amount >= 1 && floor(var.amount) == var.amount
    error_message = "The amount is a whole number of at least 1."
  }
}

variable "thresholds" {
  description = "Shares of the amount at which somebody is told."
  type        = list(number)
  default     = [0.5, 0.9, 1.0]

  validation {
    condition     = length(var.thresholds) > 0 && alltrue([for share in var.thresholds : share > 0 && share <= 2])
    error_message = "Each threshold is a share above 0 and at most 2 (0.5 means half of the amount)."
  }
}

variable "channels" {
  description = "Ids of the notification channels that are told; without any, the account's administrators are."
  type        = list(string)
  default     = []
}
