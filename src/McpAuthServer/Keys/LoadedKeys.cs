namespace McpAuthServer.Keys;

/// <summary>Holds the server's keys from the moment they are loaded, which is before the first request.</summary>
internal sealed class LoadedKeys : IDisposable
{
    private ServerKeys? value;
    private byte[]? nonceKey;

    /// <exception cref="InvalidOperationException">Nothing was loaded yet.</exception>
    public ServerKeys Value
    {
        get => value ?? throw new InvalidOperationException("The signing keys are not loaded.");
        set => this.value = value;
    }

    /// <exception cref="InvalidOperationException">Nothing was loaded yet.</exception>
    public byte[] NonceKey
    {
        get => nonceKey ?? throw new InvalidOperationException("The key of nonces is not loaded.");
        set => nonceKey = value;
    }

    public void Dispose() => value?.Dispose();
}
