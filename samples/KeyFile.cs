using McpAuth.Protocol.Jose;

namespace Samples;

/// <summary>The agent's private key in a file that only its owner can read.</summary>
internal static class KeyFile
{
    /// <returns>The public key, as the JWK that is registered.</returns>
    public static string Create(string path)
    {
        using SigningKey key = SigningKey.Create();
        var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write };
        if (!OperatingSystem.IsWindows()) options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        using var file = new FileStream(path, options);
        file.Write(key.ExportPkcs8());
        return key.Public.Jwk.GetRawText();
    }

    public static SigningKey Open(string path) => SigningKey.Import(File.ReadAllBytes(path), "ES256");
}
