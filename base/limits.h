/* SPDX-License-Identifier: Apache-2.0 */
/* Every limit on what others control, in one place. Bytes unless the name says otherwise. */
#ifndef ASSAY_BASE_LIMITS_H
#define ASSAY_BASE_LIMITS_H

#define KIB ((size_t)1024)
#define MIB (1024 * KIB)

#define LIMIT_SMALL (64 * KIB)            /* any JSON or form request body */
#define LIMIT_EVIDENCE (5 * MIB)          /* one evidence message: the logs below, claims and keys */
#define LIMIT_CLAIMS (64 * KIB)           /* claims within one evidence message */
#define LIMIT_WORKLOAD_LOG (3 * MIB)      /* log part within one evidence message; only the last part is smaller */
#define LIMIT_COMMAND_LINE 4096           /* kernel command line within one evidence message */
#define LIMIT_FIRMWARE_LOG (512 * KIB)    /* firmware log within one evidence message */
#define LIMIT_USERSPACE_LOG (128 * KIB)   /* systemd's log within one evidence message; of a longer one the beginning is sent */
#define LIMIT_USERSPACE_RECORD (16 * KIB) /* one record of it */
#define LIMIT_IMA_PART (1 * MIB)          /* part of an IMA list within one evidence message; only the last part is smaller */
#define LIMIT_DOCUMENT (256 * KIB)        /* one operator document with its envelope */
#define LIMIT_CERT (8 * KIB)              /* one certificate, DER */
#define LIMIT_CHAIN 8                     /* certificates in a chain, leaf included */
#define LIMIT_RSA_BITS 4096               /* larger moduli cost a verifier time */
#define LIMIT_TPM2B (4 * KIB)             /* any TPM structure inside evidence */
#define LIMIT_PCRS 24                     /* registers per bank */
#define LIMIT_BANKS 5                     /* banks per log record */
#define LIMIT_INSTANCES 256               /* live instances presented by one host */
#define LIMIT_STARTS 200000               /* instances of one host in one boot: none is forgotten before its end */
#define LIMIT_LOG_RECORD (16 * KIB)       /* one workload log record */
#define LIMIT_EVLOG (16 * MIB)            /* a firmware event log */
#define LIMIT_TOKEN (16 * KIB)            /* a JWT, compact form */
#define LIMIT_JSON_DEPTH 16
#define LIMIT_MODEL_FILES 1000000         /* files and folders of a model */
#define LIMIT_MODEL_DEPTH 64              /* folders within folders */
#define LIMIT_SAFETENSORS_HEADER (4 * MIB) /* JSON; larger ones give no hint */
#define LIMIT_GGUF_HEADER (32 * MIB)      /* with the words of a tokenizer; larger ones give no hint */
#define LIMIT_OMS_BUNDLE (64 * MIB)       /* signature bundle of a model: some 200 000 files */
#define LIMIT_PATH 4096
#define LIMIT_OCI_JSON (4 * MIB)          /* index, manifest or config of an image */
#define LIMIT_OCI_LAYERS 512
#define LIMIT_OCI_MANIFESTS 1024          /* descriptors in all indexes of a layout that are looked at */
#define LIMIT_OCI_INDEXES 64              /* nested indexes that are read for one selection */
#define LIMIT_OCI_DEPTH 4                 /* indexes within index.json */
#define LIMIT_OCI_NAMED 32768            /* blobs that the documents of a layout name, with repetitions */
#define LIMIT_ARCHIVE_MEMBERS 65536      /* files in an image archive */
#define LIMIT_IMAGE_BYTES (256 * 1024 * (uint64_t)MIB) /* of an image, as stored, and again unpacked; of a root folder */
#define LIMIT_TREE_ENTRIES 1000000        /* files and folders of all layers of an image, or of a root folder */
#define LIMIT_TREE_BYTES (512 * MIB)      /* their names, attributes and what is noted of them */
#define LIMIT_TREE_DEPTH 256              /* folders within folders of a root folder */
#define LIMIT_LAYER_RATIO 200             /* bytes that one compressed byte may become, on average */
#define LIMIT_BOOT_FILE (1024 * MIB)       /* a kernel, initrd or unified kernel image that a person names */
#define LIMIT_CONFIG (256 * KIB)          /* a configuration file of ours */

#endif
