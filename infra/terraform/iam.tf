# What each of the three may do, and no more. Which command needs which stands in README.md. Nobody here may change the
# bucket, write over a lock (s3:BypassGovernanceRetention), or read what lies beside the archive's prefix.

locals {
  # From the name, so that a plan shows the whole documents.
  bucket_arn = "arn:${data.aws_partition.current.partition}:s3:::${var.bucket}"
  objects    = "${local.bucket_arn}/${local.folder}*"
  # Journal and manifests.
  records_folder = "${local.bucket_arn}/${local.folder}_firnline/"

  documents = {
    exporter  = data.aws_iam_policy_document.exporter.json
    retriever = data.aws_iam_policy_document.retriever.json
    collector = data.aws_iam_policy_document.collector.json
  }
}

data "aws_partition" "current" {}

# All of them: what the bucket is, and which objects there are.
data "aws_iam_policy_document" "look" {
  statement {
    sid = "Bucket"
    actions = [
      "s3:GetBucketObjectLockConfiguration",
      "s3:GetBucketPolicyStatus",
      "s3:GetBucketPublicAccessBlock",
      "s3:GetBucketVersioning",
      "s3:GetEncryptionConfiguration",
      "s3:GetLifecycleConfiguration",
      "s3:ListBucketMultipartUploads",
    ]
    resources = [local.bucket_arn]
  }

  statement {
    sid       = "List"
    actions   = ["s3:ListBucket", "s3:ListBucketVersions"]
    resources = [local.bucket_arn]

    # HEAD of a bucket, and of an object that is not there (404 and not 403), ask for it without a prefix: hence IfExists.
    condition {
      test     = "StringLikeIfExists"
      variable = "s3:prefix"
      values   = ["${local.folder}*"]
    }
  }

  statement {
    sid = "Read"
    actions = [
      "s3:GetObject",
      "s3:GetObjectLegalHold",
      "s3:GetObjectRetention",
      "s3:GetObjectTagging",
      "s3:GetObjectVersion",
      "s3:GetObjectVersionTagging",
    ]
    resources = [local.objects]
  }

  dynamic "statement" {
    for_each = var.kms_key_arn == null ? [] : [var.kms_key_arn]

    content {
      sid       = "Decrypt"
      actions   = ["kms:Decrypt", "kms:DescribeKey"]
      resources = [statement.value]
    }
  }
}

# `firnline run`, `hold` and `doctor`: writes objects, tags and locks them. Deletes nothing but what
# `doctor` tried the bucket with, unless `runs_delete` says so.
data "aws_iam_policy_document" "exporter" {
  source_policy_documents = [data.aws_iam_policy_document.look.json]

  statement {
    sid = "Write"
    actions = [
      "s3:AbortMultipartUpload",
      "s3:ListMultipartUploadParts",
      "s3:PutObject",
      "s3:PutObjectLegalHold",
      "s3:PutObjectRetention",
      "s3:PutObjectTagging",
      "s3:PutObjectVersionTagging",
    ]
    resources = [local.objects]
  }

  # `doctor` tries conditional writes out, and takes away what it tried with.
  statement {
    sid       = "Probe"
    actions   = ["s3:DeleteObjectVersion"]
    resources = ["${local.records_folder}_probe/*"]
  }

  dynamic "statement" {
    for_each = var.runs_delete ? [local.objects] : []

    content {
      sid       = "DeleteVersions"
      actions   = ["s3:DeleteObjectVersion"]
      resources = [statement.value]
    }
  }

  dynamic "statement" {
    for_each = var.kms_key_arn == null ? [] : [var.kms_key_arn]

    content {
      sid       = "Encrypt"
      actions   = ["kms:GenerateDataKey"]
      resources = [statement.value]
    }
  }
}

# `firnline retrieve`, `rehydrate`, `restores` and `verify`: reads, and asks for restored copies. Changes no object.
data "aws_iam_policy_document" "retriever" {
  source_policy_documents = [data.aws_iam_policy_document.look.json]

  statement {
    sid       = "Restore"
    actions   = ["s3:RestoreObject"]
    resources = [local.objects]
  }
}

# `firnline collect`: deletes what nothing names any more, and writes what it did into the journal.
data "aws_iam_policy_document" "collector" {
  source_policy_documents = [data.aws_iam_policy_document.look.json]

  statement {
    sid = "Delete"
    actions = [
      "s3:AbortMultipartUpload",
      "s3:DeleteObject",
      "s3:DeleteObjectVersion",
      "s3:ListMultipartUploadParts",
    ]
    resources = [local.objects]
  }

  statement {
    sid       = "Journal"
    actions   = ["s3:PutObject", "s3:PutObjectRetention"]
    resources = ["${local.records_folder}*"]
  }

  dynamic "statement" {
    for_each = var.kms_key_arn == null ? [] : [var.kms_key_arn]

    content {
      sid       = "Encrypt"
      actions   = ["kms:GenerateDataKey"]
      resources = [statement.value]
    }
  }
}

resource "aws_iam_policy" "role" {
  for_each = local.documents

  name        = "${var.name}-${each.key}"
  description = "Firnline ${each.key} of s3://${var.bucket}"
  policy      = each.value
  tags        = var.tags
}
