variable "bucket" {
  description = "Name of the archive's bucket, as in archive.url of the policies."
  type        = string
}

variable "prefix" {
  description = "Path of archive.url below the bucket, without slashes at its ends; empty where the archive is the bucket."
  type        = string
  default     = "firnline"

  validation {
    condition     = !startswith(var.prefix, "/") && !endswith(var.prefix, "/")
    error_message = "Write the prefix without slashes at its ends."
  }
}

variable "lifecycle_file" {
  description = "Path of what `firnline lifecycle print` gives for all pipelines of this bucket."
  type        = string
}

variable "other_lifecycle_rules" {
  description = "Rules of yours for other prefixes of the bucket, in S3's JSON. Terraform owns all rules of a bucket."
  type        = any
  default     = []
}

variable "transition_default_minimum_object_size" {
  description = "Which small objects S3 leaves alone where a rule has no size of its own."
  type        = string
  default     = "all_storage_classes_128K"

  validation {
    condition     = contains(["all_storage_classes_128K", "varies_by_storage_class"], var.transition_default_minimum_object_size)
    error_message = "S3 knows all_storage_classes_128K and varies_by_storage_class."
  }
}

variable "object_lock" {
  description = "Whether objects can be locked. It locks nothing by itself: archive.lock of a policy does, object by object."
  type        = bool
  default     = true
}

variable "kms_key_arn" {
  description = "Key for SSE-KMS, as in archive.encryption.key; null for SSE-S3."
  type        = string
  default     = null
}

variable "runs_delete" {
  description = "Whether `firnline run` may delete versions. It has to where a policy lets records expire (tiers.cold.keep is not forever) or copies objects (tiers.cold.transition: copy, or a vault)."
  type        = bool
  default     = false
}

variable "name" {
  description = "Beginning of the names of the IAM policies."
  type        = string
  default     = "firnline"
}

variable "tags" {
  description = "Tags of all resources."
  type        = map(string)
  default     = {}
}
