using System.ComponentModel;
using System.Text.Json;
using ModelContextProtocol;
using ModelContextProtocol.Protocol;
using ModelContextProtocol.Server;

namespace ConformanceServer;

[McpServerResourceType]
internal sealed class Resources
{
    [McpServerResource(UriTemplate = "test://static-text", Name = "static-text", MimeType = "text/plain"), Description("A text.")]
    public static string Text() => "This is the content of the static text resource.";

    [McpServerResource(UriTemplate = "test://static-binary", Name = "static-binary", MimeType = "image/png"), Description("An image.")]
    public static ResourceContents Binary() => BlobResourceContents.FromBytes(Samples.Png, "test://static-binary", "image/png");

    [McpServerResource(UriTemplate = "test://template/{id}/data", Name = "template", MimeType = "application/json"), Description("A record by its id.")]
    public static string Template([Description("Which.")] string id) =>
        JsonSerializer.Serialize(new Dictionary<string, object> { ["id"] = id, ["templateTest"] = true, ["data"] = "Data for ID: " + id });

    /// <summary>For whatever is none of the above: the error names what was asked for.</summary>
    public static ValueTask<ReadResourceResult> MissingAsync(RequestContext<ReadResourceRequestParams> request, CancellationToken cancellationToken) =>
        throw new McpProtocolException("There is no such resource.", McpErrorCode.InvalidParams) { Data = { ["uri"] = request.Params?.Uri } };
}
