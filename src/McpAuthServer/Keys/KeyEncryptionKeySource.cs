using System.Security.Cryptography;

namespace McpAuthServer.Keys;

/// <summary>Finds the key-encryption key outside of the database.</summary>
internal static class KeyEncryptionKeySource
{
    private const int Length = 32;

    /// <exception cref="StartupException">It is absent where it is mandatory, unreadable, or not 32 bytes in base64.</exception>
    public static KeyEncryption Load(ServerOptions options)
    {
        if (options.KeyEncryptionKey is { } inline)
            return new KeyEncryption(Decode(inline, "McpAuth:KeyEncryptionKey"));
        if (options.KeyEncryptionKeyFile is { } path)
            return new KeyEncryption(Decode(Read(path), path));
        var generated = Path.Combine(options.DataDirectory, "key-encryption-key");
        if (!File.Exists(generated))
            Create(generated);
        return new KeyEncryption(Decode(Read(generated), generated));
    }

    private static string Read(string path)
    {
        try
        {
            return File.ReadAllText(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new StartupException($"The key-encryption key file '{path}' cannot be read: {e.Message}");
        }
    }

    private static byte[] Decode(string text, string from)
    {
        var key = new byte[Length];
        return Convert.TryFromBase64String(text.Trim(), key, out var written) && written == Length
            ? key
            : throw new StartupException($"The key-encryption key from '{from}' must be {Length} bytes in base64.");
    }

    // Only for a loopback issuer, which the options' validation guarantees. Written whole before it gets its name, and to the owner only.
    private static void Create(string path)
    {
        var temporary = $"{path}.{Environment.ProcessId}";
        var mode = new FileStreamOptions { Mode = FileMode.Create, Access = FileAccess.Write };
        if (!OperatingSystem.IsWindows())
            mode.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        using (var file = new FileStream(temporary, mode))
        {
            file.Write(System.Text.Encoding.ASCII.GetBytes(Convert.ToBase64String(RandomNumberGenerator.GetBytes(Length))));
            file.Flush(flushToDisk: true);
        }
        try
        {
            File.Move(temporary, path, overwrite: false);
        }
        catch (IOException) when (File.Exists(path))
        {
            File.Delete(temporary); // Another process was first; its key stands.
        }
    }
}
