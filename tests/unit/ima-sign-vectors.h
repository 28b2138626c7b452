/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signatures of an IMA list as other programs made them, all by one key:
 * openssl cms -sign -binary -noattr -nocerts of "a module" and a line feed,
 * without and with -keyid; evmctl 1.4 sign --portable of "a file" and a line
 * feed, with --imahash (root, 0755) and with --imasig (uid 1000, gid 7, 0644, a
 * capability).
 */
#ifndef ASSAY_TESTS_IMA_SIGN_VECTORS_H
#define ASSAY_TESTS_IMA_SIGN_VECTORS_H

__attribute__((unused)) static const char spki[] = "3059301306072a8648ce3d020106082a8648ce3d030107034200043eae3b09e2b5b50843aca1efe8f8eaed36636b8dd5"
			   "e59960166a855a533e80bb1769ce31e74a1952d94d4a9a5ec100546cdc8670d5589105b499a053defdf487";
__attribute__((unused)) static const char module_sum[] = "6884b2d645a75f2c9dd562869b1de94c036cbf389db07010b848850bbe3ef542";
__attribute__((unused)) static const char by_name[] =
	"3081c506092a864886f70d010702a081b73081b4020101310d300b0609608648016503040201300b06092a864886f70d01070131819230"
	"818f02010130283010310e300c06035504030c0566696c657302140518f2915e016f59a5666e2f435f911bc11e8b57300b060960864801"
	"6503040201300a06082a8648ce3d04030204473045022100b68ad72e3d7b4f4bf1f925f19f4496ab7141b9052bc133cfb72dd212c14ac1"
	"7002205fe4d6b8979bd1892fd22dbbcf63506845e304f21cdf475ef07178f80b7770cb";
__attribute__((unused)) static const char by_key_id[] =
	"3081af06092a864886f70d010702a081a130819e020103310d300b0609608648016503040201300b06092a864886f70d010701317d307b"
	"0201038014750ac7ee98ec71f59a07783fbcd3ede81e8827e6300b0609608648016503040201300a06082a8648ce3d0403020447304502"
	"2100de61f11b0343ec2cd85115346650fffc9db9e5111e26d8c65f2fb4341c2e739c0220477fc41ffddb894f9ed80f468beee59d03711b"
	"aec5c4950e2a88bf2d03041c0a";

__attribute__((unused)) static const char file_sum[] = "da69f286f03c0d2131b3f95afe7c8d31b4f65cbf5ca49a12c41d8bf02d366a34";
__attribute__((unused)) static const char ima_hash[] = "0404da69f286f03c0d2131b3f95afe7c8d31b4f65cbf5ca49a12c41d8bf02d366a34";
__attribute__((unused)) static const char evm_of_hash[] =
	"0502041e8827e60046304402203c103c7b6c3d569b807f679e57b025184fd76a57b9ff21003d96598d62ad668d022026d6834ecb7e8ac9"
	"331c9aa3b1884527887fff183885c36f717a179aa7ffc5d9";
__attribute__((unused)) static const char ima_sig[] =
	"0302041e8827e600473045022100e66c933e9144bda7b8bd6d011a95c831db7c6cc88fbb02cae3af465c8d60f576022052cb6a53b20648"
	"ab19e52b0df662a3327b0681336cd79339361fb75e51a53c1a";
__attribute__((unused)) static const char capability[] = "0100000200200000000000000000000000000000";
__attribute__((unused)) static const char evm_of_sig[] =
	"0502041e8827e600473045022100d1c9e594ef3f523055228da782c828666b63a6ce9c49e510df6d52786f01104602205ed147b1ecdb02"
	"ec05fe2b0f3ebdc85f1c1acc498631e6ba57be4e6b5819fc37";

#endif
