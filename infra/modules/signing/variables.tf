variable "project" {
  description = "Id of the project."
  type        = string
}

variable "region" {
  description = "Region in which the key is kept."
  type        = string
}

variable "name" {
  description = "Name of the key ring. It is there for good: Google deletes neither rings nor keys."
  type        = string
  default     = "modelfleet"

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]{1,63}$", var.name))
    error_message = "A key ring's name has up to 63 letters, digits, dashes and underscores."
  }
}

variable "signs" {
  description = "Version of the key that signs."
  type        = number
  default     = 1

  validation {
    condition     = var.signs >= 1 && floor(var.signs) == var.signs
    error_message = "Versions are counted from 1."
  }
}

variable "believed" {
  description = "Versions whose signatures are believed; two while one takes the other's place."
  type        = set(number)
  default     = [1]

  validation {
    condition     = contains(var.believed, var.signs)
    error_message = "The version that signs must be among those that are believed."
  }
}

variable "signers" {
  description = "Who publishes releases, by a name of your choice: members."
  type        = map(string)
  default     = {}
}

variable "readers" {
  description = "Who only checks signatures."
  type        = map(string)
  default     = {}
}
