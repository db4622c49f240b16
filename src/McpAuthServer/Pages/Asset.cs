namespace McpAuthServer.Pages;

internal static class AssetRoutes
{
    public static void MapAssets(this IEndpointRouteBuilder routes)
    {
        foreach (var asset in new[] { Asset.Stylesheet, Asset.Icon, Asset.Submit })
            routes.MapGet(asset.Path, asset.Get);
    }
}

/// <summary>A file that pages load, at an address that changes with its content.</summary>
internal sealed class Asset
{
    public static readonly Asset
        Stylesheet = new("style.css", "text/css; charset=utf-8"),
        // Without one, browsers ask for /favicon.ico and complain that it is not there.
        Icon = new("icon.svg", "image/svg+xml"),
        Submit = new("submit.js", "text/javascript; charset=utf-8");

    private readonly byte[] content;
    private readonly string type;

    private Asset(string file, string type)
    {
        this.type = type;
        using var stream = typeof(Asset).Assembly.GetManifestResourceStream("McpAuthServer.Pages." + file)!;
        using var bytes = new MemoryStream();
        stream.CopyTo(bytes);
        content = bytes.ToArray();
        Path = $"/assets/{Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(content))[..16]}{System.IO.Path.GetExtension(file)}";
    }

    /// <summary>From the issuer's path on.</summary>
    public string Path { get; }

    public IResult Get(HttpResponse response)
    {
        response.Headers.CacheControl = "public, max-age=31536000, immutable";
        response.Headers.XContentTypeOptions = "nosniff";
        return Results.Bytes(content, type);
    }
}
