variable "project" {
  description = "Id of the project."
  type        = string
}

variable "region" {
  description = "Region of the repository: that of the workers, who pull from it."
  type        = string
}

variable "name" {
  description = "Name of the repository."
  type        = string
  default     = "modelfleet"

  validation {
    condition     = can(regex("^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$", var.name))
    error_message = "The name has at most 63 lower case letters, digits and dashes and begins with a letter."
  }
}

variable "keep_versions" {
  description = "How many versions of each image are always kept, so that an older release of the jobs can run again."
  type        = number
  default     = 10

  validation {
    condition     = var.keep_versions >= 2 && floor(var.keep_versions) == var.keep_versions
    error_message = "At least 2 versions are kept: one that runs and one to go back to."
  }
}

variable "untagged_days" {
  description = "Days after which an image without a tag is deleted."
  type        = number
  default     = 30

  validation {
    condition     = var.untagged_days >= 1
    error_message = "An untagged image is kept for a day at least."
  }
}

variable "installers" {
  description = "Who may install Python packages, by a name of your choice: members."
  type        = map(string)
  default     = {}
}

variable "readers" {
  description = "Who may pull images, by a name of your choice: members such as serviceAccount:worker@..."
  type        = map(string)
  default     = {}
}

variable "writers" {
  description = "Who may push images and packages, by a name of your choice."
  type        = map(string)
  default     = {}
}
