using System.Text.Json;
using McpAuth.Protocol;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Options;

namespace McpGuard.Sdk.Http;

/// <summary>
/// Protected resource metadata (RFC 9728 §2, §3). Served at the root and with the resource's path inserted, because some clients look
/// in only one of the two.
/// </summary>
internal sealed class MetadataEndpoint(ResourceAddress resource, IOptions<McpGuardOptions> options)
{
    private readonly byte[] document = Document(options.Value);

    public IEnumerable<string> Paths => new[] { Names.Paths.ProtectedResource, resource.InsertedPath }.Distinct(StringComparer.Ordinal);

    public bool Serves(PathString path) => path.Equals(Names.Paths.ProtectedResource, StringComparison.Ordinal) || path.Equals(resource.InsertedPath, StringComparison.Ordinal);

    public async Task Handle(HttpContext context)
    {
        // Public, so any origin may read it; never with credentials.
        context.Response.Headers.AccessControlAllowOrigin = "*";
        if (OriginRules.Preflight(context, "GET")) return;
        if (!HttpMethods.IsGet(context.Request.Method) && !HttpMethods.IsHead(context.Request.Method))
        {
            context.Response.Headers.Allow = "GET";
            context.Response.StatusCode = StatusCodes.Status405MethodNotAllowed;
            return;
        }
        context.Response.ContentType = "application/json";
        context.Response.Headers.CacheControl = "public, max-age=300";
        context.Response.ContentLength = document.Length;
        if (HttpMethods.IsGet(context.Request.Method)) await context.Response.Body.WriteAsync(document, context.RequestAborted);
    }

    private static byte[] Document(McpGuardOptions options)
    {
        using var stream = new MemoryStream();
        using (var writer = new Utf8JsonWriter(stream))
        {
            writer.WriteStartObject();
            writer.WriteString("resource", options.Resource);
            Array("authorization_servers", [options.AuthorizationServer]);
            Array("scopes_supported", options.Scopes);
            Array("bearer_methods_supported", ["header"]);
            Array("dpop_signing_alg_values_supported", ["ES256", "RS256"]);
            Array("authorization_details_types_supported", [Names.Resources.McpToolCall]);
            writer.WriteEndObject();

            void Array(string name, IList<string> values)
            {
                // RFC 9728 §3.2: a parameter without values is left out.
                if (values.Count == 0) return;
                writer.WriteStartArray(name);
                foreach (string value in values) writer.WriteStringValue(value);
                writer.WriteEndArray();
            }
        }
        return stream.ToArray();
    }
}
