import { CfnOutput, Duration, RemovalPolicy, Stack, type StackProps } from 'aws-cdk-lib'
import { Certificate } from 'aws-cdk-lib/aws-certificatemanager'
import {
  Distribution,
  Function as EdgeFunction,
  FunctionCode,
  FunctionEventType,
  FunctionRuntime,
  HeadersFrameOption,
  HeadersReferrerPolicy,
  HttpVersion,
  PriceClass,
  ResponseHeadersPolicy,
  SecurityPolicyProtocol,
  ViewerProtocolPolicy,
} from 'aws-cdk-lib/aws-cloudfront'
import { S3BucketOrigin } from 'aws-cdk-lib/aws-cloudfront-origins'
import { BlockPublicAccess, Bucket, BucketEncryption, ObjectOwnership } from 'aws-cdk-lib/aws-s3'
import type { Construct } from 'constructs'
import type { Parts } from '../parts.ts'

/** A site for the dashboard: a private bucket behind CloudFront. Until something is published, `/` leads to the API's documentation. */
export class WebStack extends Stack {
  constructor(scope: Construct, id: string, { parts, ...props }: StackProps & { parts: Parts }) {
    super(scope, id, props)
    const { stage, publicUrl = '' } = parts
    const closed = {
      encryption: BucketEncryption.S3_MANAGED,
      blockPublicAccess: BlockPublicAccess.BLOCK_ALL,
      enforceSSL: true,
      minimumTLSVersion: 1.2,
    }
    const logs = new Bucket(this, 'site-logs', {
      ...closed,
      objectOwnership: ObjectOwnership.OBJECT_WRITER,
      lifecycleRules: [{ expiration: Duration.days(90), abortIncompleteMultipartUploadAfter: Duration.days(1) }],
      removalPolicy: RemovalPolicy.RETAIN,
    })
    const site = new Bucket(this, 'site', {
      ...closed,
      versioned: true,
      serverAccessLogsBucket: logs,
      serverAccessLogsPrefix: 'bucket/',
      lifecycleRules: [{ noncurrentVersionExpiration: Duration.days(30), abortIncompleteMultipartUploadAfter: Duration.days(1) }],
      removalPolicy: RemovalPolicy.RETAIN,
    })
    const distribution = new Distribution(this, 'distribution', {
      comment: `AI Deploy ${stage.name}`,
      defaultBehavior: {
        origin: S3BucketOrigin.withOriginAccessControl(site),
        viewerProtocolPolicy: ViewerProtocolPolicy.REDIRECT_TO_HTTPS,
        compress: true,
        responseHeadersPolicy: securityHeaders(this, publicUrl),
        functionAssociations: [{ eventType: FunctionEventType.VIEWER_REQUEST, function: toDocumentation(this, publicUrl) }],
      },
      priceClass: PriceClass.PRICE_CLASS_100,
      httpVersion: HttpVersion.HTTP2_AND_3,
      enableLogging: true,
      logBucket: logs,
      logFilePrefix: 'distribution/',
      ...(stage.webDomain && {
        domainNames: [stage.webDomain.name],
        // CloudFront's own certificate would fix the protocol and ignore this.
        minimumProtocolVersion: SecurityPolicyProtocol.TLS_V1_2_2021,
        certificate: Certificate.fromCertificateArn(this, 'certificate', stage.webDomain.certificateArn),
      }),
    })
    new CfnOutput(this, 'WebUrl', { value: `https://${stage.webDomain?.name ?? distribution.distributionDomainName}` })
    new CfnOutput(this, 'WebBucket', { value: site.bucketName })
  }
}

/** Scripts and styles from the site alone; calls to the site and the API. */
const securityHeaders = (scope: Construct, publicUrl: string): ResponseHeadersPolicy =>
  new ResponseHeadersPolicy(scope, 'headers', {
    securityHeadersBehavior: {
      contentSecurityPolicy: {
        contentSecurityPolicy: `default-src 'self'; connect-src 'self' ${publicUrl}; img-src 'self' data:; object-src 'none'; base-uri 'none'; frame-ancestors 'none'`,
        override: true,
      },
      contentTypeOptions: { override: true },
      frameOptions: { frameOption: HeadersFrameOption.DENY, override: true },
      referrerPolicy: { referrerPolicy: HeadersReferrerPolicy.NO_REFERRER, override: true },
      strictTransportSecurity: { accessControlMaxAge: Duration.days(365), includeSubdomains: false, override: true },
    },
  })

const toDocumentation = (scope: Construct, publicUrl: string): EdgeFunction =>
  new EdgeFunction(scope, 'to-documentation', {
    comment: 'The root leads to the documentation of the API',
    runtime: FunctionRuntime.JS_2_0,
    code: FunctionCode.fromInline(`function handler(event) {
  if (event.request.uri !== '/') return event.request
  return { statusCode: 302, statusDescription: 'Found', headers: { location: { value: '${publicUrl}/docs' } } }
}`),
  })
