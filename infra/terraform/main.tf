# The bucket of an archive: old versions are kept, nothing is public, nothing expires by itself.

locals {
  configuration = jsondecode(file(var.lifecycle_file))
  rules         = concat(local.configuration.Rules, var.other_lifecycle_rules)
  # With the slash, so that `firnline` does not mean `firnline-old`. Empty: the whole bucket.
  folder = var.prefix == "" ? "" : "${var.prefix}/"

  # What would remove objects, or versions that the journal may still pin.
  removing = [
    for rule in local.rules : rule
    if rule.Status == "Enabled" && (
      can(rule.Expiration.Days) || can(rule.Expiration.Date) || can(rule.NoncurrentVersionExpiration)
    )
  ]
  removing_prefixes = [
    for rule in local.removing : try(rule.Filter.And.Prefix, rule.Filter.Prefix, rule.Prefix, "")
  ]
}

resource "aws_s3_bucket" "archive" {
  bucket              = var.bucket
  object_lock_enabled = var.object_lock
  tags                = var.tags

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_s3_bucket_versioning" "archive" {
  bucket = aws_s3_bucket.archive.id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "archive" {
  bucket = aws_s3_bucket.archive.id

  rule {
    bucket_key_enabled = var.kms_key_arn != null

    apply_server_side_encryption_by_default {
      sse_algorithm     = var.kms_key_arn == null ? "AES256" : "aws:kms"
      kms_master_key_id = var.kms_key_arn
    }
  }
}

resource "aws_s3_bucket_ownership_controls" "archive" {
  bucket = aws_s3_bucket.archive.id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_public_access_block" "archive" {
  bucket                  = aws_s3_bucket.archive.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

data "aws_iam_policy_document" "bucket" {
  statement {
    sid       = "TlsOnly"
    effect    = "Deny"
    actions   = ["s3:*"]
    resources = [local.bucket_arn, "${local.bucket_arn}/*"]

    principals {
      type        = "*"
      identifiers = ["*"]
    }

    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }
}

resource "aws_s3_bucket_policy" "archive" {
  bucket = aws_s3_bucket.archive.id
  policy = data.aws_iam_policy_document.bucket.json

  depends_on = [aws_s3_bucket_public_access_block.archive]
}

resource "aws_s3_bucket_lifecycle_configuration" "archive" {
  bucket                                 = aws_s3_bucket.archive.id
  transition_default_minimum_object_size = var.transition_default_minimum_object_size

  dynamic "rule" {
    for_each = local.rules

    content {
      id     = rule.value.ID
      status = rule.value.Status

      filter {
        prefix                   = try(rule.value.Filter.Prefix, rule.value.Prefix, null)
        object_size_greater_than = try(rule.value.Filter.ObjectSizeGreaterThan, null)
        object_size_less_than    = try(rule.value.Filter.ObjectSizeLessThan, null)

        dynamic "tag" {
          for_each = try([rule.value.Filter.Tag], [])

          content {
            key   = tag.value.Key
            value = tag.value.Value
          }
        }

        dynamic "and" {
          for_each = try([rule.value.Filter.And], [])

          content {
            prefix                   = try(and.value.Prefix, null)
            tags                     = try({ for tag in and.value.Tags : tag.Key => tag.Value }, null)
            object_size_greater_than = try(and.value.ObjectSizeGreaterThan, null)
            object_size_less_than    = try(and.value.ObjectSizeLessThan, null)
          }
        }
      }

      dynamic "transition" {
        for_each = try(rule.value.Transitions, [])

        content {
          days          = try(transition.value.Days, null)
          date          = try(transition.value.Date, null)
          storage_class = transition.value.StorageClass
        }
      }

      dynamic "abort_incomplete_multipart_upload" {
        for_each = try([rule.value.AbortIncompleteMultipartUpload], [])

        content {
          days_after_initiation = abort_incomplete_multipart_upload.value.DaysAfterInitiation
        }
      }

      dynamic "expiration" {
        for_each = try([rule.value.Expiration], [])

        content {
          days                         = try(expiration.value.Days, null)
          date                         = try(expiration.value.Date, null)
          expired_object_delete_marker = try(expiration.value.ExpiredObjectDeleteMarker, null)
        }
      }

      dynamic "noncurrent_version_expiration" {
        for_each = try([rule.value.NoncurrentVersionExpiration], [])

        content {
          noncurrent_days           = noncurrent_version_expiration.value.NoncurrentDays
          newer_noncurrent_versions = try(noncurrent_version_expiration.value.NewerNoncurrentVersions, null)
        }
      }

      dynamic "noncurrent_version_transition" {
        for_each = try(rule.value.NoncurrentVersionTransitions, [])

        content {
          noncurrent_days           = try(noncurrent_version_transition.value.NoncurrentDays, null)
          newer_noncurrent_versions = try(noncurrent_version_transition.value.NewerNoncurrentVersions, null)
          storage_class             = noncurrent_version_transition.value.StorageClass
        }
      }
    }
  }

  lifecycle {
    # The journal pins versions. One that somebody writes over is an old one from then on, and still the only copy.
    precondition {
      condition = alltrue([
        for prefix in local.removing_prefixes :
        !startswith(local.folder, prefix) && !startswith(prefix, local.folder)
      ])
      error_message = "A lifecycle rule would remove objects or old versions of the archive. Limit it to another prefix."
    }
  }

  # Rules on versions need them to be there first.
  depends_on = [aws_s3_bucket_versioning.archive]
}
