namespace McpAuthServer.Pages;

/// <summary>The one stylesheet, at an address that changes with its content.</summary>
internal static class Stylesheet
{
    private static readonly byte[] Content = Read();

    /// <summary>From the issuer's path on.</summary>
    public static readonly string Path = $"/assets/{Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(Content))[..16]}.css";

    public static IEndpointConventionBuilder MapStylesheet(this IEndpointRouteBuilder routes) => routes.MapGet(Path, (HttpResponse response) =>
    {
        response.Headers.CacheControl = "public, max-age=31536000, immutable";
        response.Headers.XContentTypeOptions = "nosniff";
        return Results.Bytes(Content, "text/css; charset=utf-8");
    });

    private static byte[] Read()
    {
        using var stream = typeof(Stylesheet).Assembly.GetManifestResourceStream("McpAuthServer.Pages.style.css")!;
        using var bytes = new MemoryStream();
        stream.CopyTo(bytes);
        return bytes.ToArray();
    }
}
